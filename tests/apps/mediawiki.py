"""A MediaWiki of Debian's with SQLite, and 60 pages in it."""

import re
from pathlib import Path
from xml.sax.saxutils import escape

from .application import Application
from .php import Php
from .recipe import HOST, ROOT
from .visitor import Visitor, field

SOURCE = "/usr/share/mediawiki"
# Where nginx answers; it is told by file, because it starts after the wiki.
SETTINGS = """
$wgArticlePath = '/wiki/$1';
$wgUploadDirectory = '%(directory)s/images';
$wgCacheDirectory = '%(directory)s/cache';
$wgGroupPermissions['*']['edit'] = false;
$wgMainCacheType = CACHE_DB;
wfLoadSkin('Vector');
$wgDefaultSkin = 'vector';
%(recipe)s
$wgCdnServers = @file('%(directory)s/nginx.address') ?: [];
"""


def import_file() -> str:
    """Pages that link to each other, in categories and with a template, as Special:Export writes."""
    pages = {f"Page {n}": page(n) for n in range(1, 61)}
    pages["Template:Box"] = "Boxed words."
    pages["Index"] = " ".join(f"[[Page {n}]]" for n in range(1, 61))
    revision = "<revision><timestamp>2024-01-01T00:00:00Z</timestamp><contributor><username>Editor</username><id>1</id></contributor><model>wikitext</model><format>text/x-wiki</format><text>{}</text></revision>"
    whole = "".join(
        f"<page><title>{title}</title>{revision.format(escape(text))}</page>"
        for title, text in pages.items()
    )
    return f'<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/" version="0.11" xml:lang="en">{whole}</mediawiki>'


def page(n: int) -> str:
    box = "{{Box}}" if n % 10 == 0 else ""
    return f"Words of page {n}. {box} [[Page {n % 60 + 1}]] [[Category:Kind {n % 3}]]"


class Editor(Visitor):
    def edit(self, title: str, text: str):
        form = self.get(f"/index.php?title={title}&action=edit").body
        names = (
            "wpStarttime",
            "wpEdittime",
            "editRevId",
            "wpEditToken",
            "wpUnicodeCheck",
        )
        fields = {name: field(form, name) for name in names}
        fields |= {"wpTextbox1": text, "wpSave": "Save", "wpUltimateParam": "1"}
        answer = self.post(f"/index.php?title={title}&action=submit", fields)
        assert answer.status in (302, 303), answer.body


class MediaWiki(Application):
    editor = Editor
    credentials = ("Editor", "a long secret")
    begin = ["/wiki/Main_Page", "/wiki/Index", "/wiki/Nowhere", "/wiki/Category:Kind_1"]
    masks = [
        r'"wgRequestId":"[^"]*",',
        r'"wgBackendResponseTime":\d+,?',
        r'"(cpu|wall)time":"[\d.]+",',
        r'"timingprofile":\[[^]]*\]',
        r'"timestamp":"\d{14}",',
    ]
    # A stranger who reads has none.
    sets_cookies: list[str] = []
    front = "/wiki/Main_Page"
    mark = b"pt-logout"
    # What its manual of short URLs tells robots: scripts are none of theirs; nor are special pages,
    # which are for one reader.
    skip = r"^/(index|api|load|rest)\.php|^/wiki/Special(:|%3A)"

    def __init__(self, directory: Path):
        self.directory = directory
        self.settings = directory / "LocalSettings.php"
        self.php = Php(directory / "php", {"MW_CONFIG_FILE": str(self.settings)})

    def start(self):
        for name in ("images", "cache"):
            (self.directory / name).mkdir()
        self._maintain(
            "install", "--dbtype=sqlite", f"--dbpath={self.directory}/data", "--scriptpath=",
            f"--server=http://{HOST}", "--pass=a long secret", f"--confpath={self.directory}",
            "A wiki", "Editor",
        )  # fmt: skip
        recipe = "\n".join(documented())
        with self.settings.open("a") as settings:
            settings.write(SETTINGS % {"directory": self.directory, "recipe": recipe})
        self._maintain("importDump", "--quiet", "--username-prefix=", code=import_file())
        self._maintain("rebuildrecentchanges")
        self._maintain("initSiteStats", "--update")
        self.run_jobs()
        self.php.start()
        return self

    def _maintain(self, script: str, *arguments: str, code: str = ""):
        self.php.run(f"{SOURCE}/maintenance/{script}.php", *arguments, code=code)

    def run_jobs(self):
        """What is to be done later is done now: pages that a template is in, say."""
        self._maintain("runJobs", "--quiet")

    @property
    def replace(self) -> dict[str, str]:
        return {"unix:/run/php/php-fpm.sock": f"unix:{self.php.socket}"}

    def purges(self, nginx):
        (self.directory / "nginx.address").write_text(f"127.0.0.1:{nginx.port}")

    def log_in(self, visitor: Visitor, name: str, password: str):
        form = visitor.get("/index.php?title=Special:UserLogin").body
        fields = {
            "wpName": name, "wpPassword": password, "wploginattempt": "Log in",
            "wpLoginToken": field(form, "wpLoginToken"), "title": "Special:UserLogin",
            "authAction": "login", "force": "", "wpEditToken": "+\\",
        }  # fmt: skip
        return visitor.post("/index.php?title=Special:UserLogin", fields)

    def stop(self):
        self.php.stop()


def documented() -> list[str]:
    """The lines of LocalSettings.php that the recipe asks for."""
    recipe = (ROOT / "nginx-conf/mediawiki.conf").read_text()
    return [line for line in re.findall(r"#\s+(\$wg.*;)", recipe) if "$wgCdnServers" not in line]
