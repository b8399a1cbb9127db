"""A DokuWiki of Debian's, with 60 pages in it."""

import hashlib
import shutil
from pathlib import Path

from .application import Application
from .php import Php
from .recipe import HOST, ROOT
from .visitor import Visitor, field

SOURCE = "/usr/share/dokuwiki"
DEFAULTS = "/etc/dokuwiki"
PLUGIN = ROOT / "integrations/dokuwiki/nginxrediscache"

SETTINGS = """<?php
$conf['title'] = 'A wiki';
$conf['savedir'] = '%(data)s';
$conf['baseurl'] = 'http://%(host)s';
$conf['useacl'] = 1;
$conf['superuser'] = '@admin';
$conf['userewrite'] = 1;
$conf['useslash'] = 1;
$conf['sitemap'] = 0;
$conf['indexdelay'] = 0;
// Else DokuWiki keeps the feed itself, for five minutes.
$conf['rss_update'] = -1;
$conf['plugin']['nginxrediscache']['nginx'] = trim(@file_get_contents('%(data)s/nginx.address'));
"""

ACCESS = "*\t@ALL\t1\n*\t@user\t8\nfriends:*\t@ALL\t0\nfriends:*\t@user\t8\n"


DIRECTORIES = [
    *("attic", "cache", "index", "locks", "log", "media", "media_attic", "media_meta"),
    *("meta", "pages", "tmp"),
]
START = "====== Start ======\n" + " ".join(f"[[page{n}]]" for n in range(1, 61))


class Editor(Visitor):
    def edit(self, page: str, text: str):
        form = self.get(f"/{page}?do=edit").body
        names = ("sectok", "date", "prefix", "suffix", "changecheck", "rev", "target")
        fields = {name: field(form, name) for name in names}
        fields |= {"wikitext": text, "do[save]": "1", "id": page, "summary": "changed"}
        answer = self.post(f"/{page}", fields)
        assert answer.status in (302, 303), answer.body


class DokuWiki(Application):
    editor = Editor
    begin = ["/start", "/", "/nowhere", "/friends/secret", "/feed.php"]
    # The picture that has the indexer run, and who asks.
    masks = [
        r"<dc:date>[^<]*",
        r"taskrunner\.php\?id=[^\"]*",
        r"sectok=[0-9a-f]*",
        r'name="sectok" value="[0-9a-f]*"',
    ]
    # A session for everybody.
    sets_cookies = ["/start"]
    front = "/"
    mark = b"do=logout"
    # Its pages tell robots not to follow what does something.
    skip = r"^/lib/|[?&](do|idx|rev)="

    def __init__(self, directory: Path):
        self.root = directory / "dokuwiki"
        self.data = directory / "data"
        self.php = Php(directory / "php")

    def start(self):
        shutil.copytree(
            SOURCE, self.root, ignore=shutil.ignore_patterns(".htaccess", "preload.php")
        )
        settings = self.root / "conf"
        shutil.copytree(DEFAULTS, settings, ignore=shutil.ignore_patterns("*.auth.php"))
        (settings / "local.php").write_text(SETTINGS % {"data": self.data, "host": HOST})
        (settings / "acl.auth.php").write_text(ACCESS)
        password = hashlib.md5(b"secret").hexdigest()
        user = f"editor:{password}:The editor:editor@example.com:admin,user\n"
        (settings / "users.auth.php").write_text(user)
        shutil.copytree(PLUGIN, self.root / "lib/plugins/nginxrediscache")
        for name in DIRECTORIES:
            (self.data / name).mkdir(parents=True)
        self._write()
        self.php.start()
        return self

    def _write(self):
        pages = {
            f"page{n}": f"====== Page {n} ======\nWords of page {n}. [[page{n % 60 + 1}]]"
            for n in range(1, 61)
        }
        pages["start"] = START
        pages["friends/secret"] = "====== Secret ======\nAmong friends."
        for name, text in pages.items():
            file = self.data / "pages" / f"{name}.txt"
            file.parent.mkdir(exist_ok=True)
            file.write_text(text)

    @property
    def replace(self) -> dict[str, str]:
        socket = "unix:/run/php/php-fpm.sock"
        return {SOURCE: str(self.root), socket: f"unix:{self.php.socket}"}

    def purges(self, nginx):
        (self.data / "nginx.address").write_text(f"http://127.0.0.1:{nginx.port}")

    def log_in(self, visitor: Visitor, name: str, password: str):
        form = visitor.get("/start?do=login").body
        fields = {
            "u": name,
            "p": password,
            "do": "login",
            "id": "start",
            "sectok": field(form, "sectok"),
        }
        return visitor.post("/start?do=login", fields)

    def stop(self):
        self.php.stop()
