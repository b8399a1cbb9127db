"""What the documents tell users to type, for tests that do just that."""

from .nginx import ROOT

SECRET = "secret"


def acl(user: str, *rights: str) -> list[str]:
    """The words of the ACL SETUSER line in docs/operations.md that makes `user` and has these
    rights; the first of them if there are several."""
    lines = (ROOT / "docs/operations.md").read_text().splitlines()
    lines = [line.replace("PASSWORD", SECRET).split() for line in lines]
    found = [words for words in lines if words[:3] == ["ACL", "SETUSER", user]]
    return next(words for words in found if set(rights) <= set(words))
