"""A WordPress of Debian's, with a blog of 55 posts in it."""

import json
import shutil
from pathlib import Path

from .application import Application
from .mariadb import MariaDb
from .php import Php
from .recipe import HOST, ROOT
from .visitor import Visitor

SOURCE = "/usr/share/wordpress"
PLUGIN = ROOT / "integrations/wordpress/nginx-redis-cache.php"

CONFIG = """<?php
define('DB_NAME', 'wordpress');
define('DB_USER', 'root');
define('DB_PASSWORD', '');
define('DB_HOST', 'localhost:%(socket)s');
define('DB_CHARSET', 'utf8mb4');
define('DB_COLLATE', '');
foreach (['AUTH_KEY', 'SECURE_AUTH_KEY', 'LOGGED_IN_KEY', 'NONCE_KEY',
          'AUTH_SALT', 'SECURE_AUTH_SALT', 'LOGGED_IN_SALT', 'NONCE_SALT'] as $key) {
    define($key, "test $key");
}
define('WP_HOME', 'http://%(host)s');
define('WP_SITEURL', 'http://%(host)s');
define('WP_DEFAULT_THEME', 'twentytwentytwo');
define('DISABLE_WP_CRON', true);
define('WP_HTTP_BLOCK_EXTERNAL', true);
define('WP_ACCESSIBLE_HOSTS', '127.0.0.1');
define('NGINX_REDIS_CACHE', trim(@file_get_contents(__DIR__ . '/nginx.address')));
defined('ABSPATH') || define('ABSPATH', __DIR__ . '/');
$table_prefix = 'wp_';
require_once ABSPATH . 'wp-settings.php';
"""

INSTALL = """<?php
$_SERVER['HTTP_HOST'] = '%(host)s';
$_SERVER['SERVER_NAME'] = '%(host)s';
define('WP_INSTALLING', true);
function wp_mail() { return true; }
require 'wp-load.php';
require 'wp-admin/includes/upgrade.php';
wp_install('A blog', 'editor', 'editor@example.com', true, '', 'secret');
update_option('permalink_structure', '/%%postname%%/');
update_option('comment_previously_approved', 1);
"""

CONTENT = """<?php
$_SERVER['HTTP_HOST'] = '%(host)s';
$_SERVER['SERVER_NAME'] = '%(host)s';
require 'wp-load.php';
$GLOBALS['wp_rewrite']->flush_rules();
$all = [];
$add = function ($name, $fields) use (&$all) {
    $all[$name] = wp_insert_post($fields + [
        'post_title' => "The $name", 'post_name' => $name, 'post_status' => 'publish',
        'post_author' => 1, 'post_content' => "<p>Words of $name.</p>"], true);
};
$topics = array_map(fn ($name) => wp_insert_term($name, 'category')['term_id'], ['Sea', 'Land', 'Air']);
for ($n = 1; $n <= 55; $n++) {
    $add("post-$n", [
        'post_category' => [$topics[$n %% 3]], 'tags_input' => ['tag' . $n %% 5],
        'post_date' => sprintf('2024-%%02d-%%02d 12:00:00', 1 + $n %% 12, 1 + $n %% 28)]);
}
$add('about', ['post_type' => 'page']);
$add('secret-post', ['post_password' => 'sesame', 'post_content' => '<p>Behind the password.</p>']);
$add('draft-post', ['post_status' => 'draft', 'post_content' => '<p>Not ready.</p>']);
$add('private-post', ['post_status' => 'private', 'post_content' => '<p>Among editors.</p>']);
foreach (['post-1', 'post-2'] as $name) {
    wp_insert_comment(['comment_post_ID' => $all[$name], 'comment_author' => 'Ann',
        'comment_content' => 'Well said.', 'comment_approved' => 1]);
}
echo json_encode($all);
"""


class Editor(Visitor):
    """Who is logged in, and works with the block editor, which is a client of the REST API."""

    nonce = ""

    def api(self, path: str, fields: dict):
        if not self.nonce:
            self.nonce = self.get("/wp-admin/admin-ajax.php?action=rest-nonce").body.decode()
        headers = {"X-WP-Nonce": self.nonce, "Content-Type": "application/json"}
        answer = self.request(
            "POST", f"/wp-json/wp/v2/{path}", headers, json.dumps(fields).encode()
        )
        assert answer.status in (200, 201), answer.body
        return json.loads(answer.body)


class WordPress(Application):
    """`ids` has the number of each post."""

    editor = Editor
    begin = ["/", "/about/", "/secret-post/", "/nowhere/", "/?p=5"]
    # One of three hosts, drawn anew for every page.
    masks = [r"[012]\.gravatar\.com"]
    # The cookie of the form, by which it knows whether there are cookies.
    sets_cookies = ["/wp-login.php"]
    front = "/"
    mark = b"wpadminbar"
    # As its robots.txt says.
    skip = "^/wp-(admin|login)"

    def __init__(self, directory: Path):
        self.root = directory / "wordpress"
        self.db = MariaDb(directory / "mariadb")
        self.php = Php(directory / "php")
        self.ids: dict[str, int] = {}

    def start(self):
        self.db.start()
        assert self.db.says("CREATE DATABASE wordpress CHARACTER SET utf8mb4") is not None
        shutil.copytree(SOURCE, self.root, ignore=shutil.ignore_patterns(".htaccess"))
        (self.root / "wp-config.php").write_text(CONFIG % {"socket": self.db.socket, "host": HOST})
        plugins = self.root / "wp-content/mu-plugins"
        plugins.mkdir()
        shutil.copy(PLUGIN, plugins)
        self._php(INSTALL)
        self.ids = json.loads(self._php(CONTENT).splitlines()[-1])
        self.php.start()
        return self

    def _php(self, code: str) -> str:
        return self.php.run(code=code % {"host": HOST}, directory=self.root)

    @property
    def replace(self) -> dict[str, str]:
        socket = "unix:/run/php/php-fpm.sock"
        return {SOURCE: str(self.root), socket: f"unix:{self.php.socket}"}

    def purges(self, nginx):
        """Says which nginx is told of changes."""
        self.purges_at(f"http://127.0.0.1:{nginx.port}")

    def purges_at(self, address: str):
        (self.root / "nginx.address").write_text(address)

    def log_in(self, visitor: Visitor, name: str, password: str):
        visitor.get("/wp-login.php")
        fields = {"log": name, "pwd": password, "testcookie": "1"}
        return visitor.post("/wp-login.php", fields)

    def stop(self):
        self.php.stop()
        self.db.stop()
