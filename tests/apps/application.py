"""What the applications have in common: who works with them logs in by a form."""

from support.http import Response

from .visitor import Visitor


class Application:
    """`editor` is what an editor can do, `credentials` name and password of one."""

    editor: type[Visitor]
    credentials = ("editor", "secret")

    def log_in(self, visitor: Visitor, name: str, password: str) -> Response:
        """Sends the form."""
        raise NotImplementedError

    def login(self, nginx):
        editor = self.editor(nginx)
        answer = self.log_in(editor, *self.credentials)
        assert answer.status == 302, answer.body
        return editor

    def fails_to_log_in(self, nginx):
        self.log_in(Visitor(nginx), "nobody-such", "a guess")
