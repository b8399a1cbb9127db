"""What the documents tell users to type, for tests that do just that."""

from .nginx import ROOT

SECRET = "secret"


def acl(*rights: str) -> list[str]:
    """The words of the first ACL SETUSER line in docs/operations.md that has these rights."""
    lines = (ROOT / "docs/operations.md").read_text().splitlines()
    lines = [line.replace("PASSWORD", SECRET).split() for line in lines]
    found = [words for words in lines if words[:3] == ["ACL", "SETUSER", "nginx"]]
    return next(words for words in found if set(rights) <= set(words))
