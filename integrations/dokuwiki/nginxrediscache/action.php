<?php

/**
 * Has nginx purge the pages that an edit changes: the page itself, those that link to it where
 * it comes or goes, the front page and the feed.
 *
 * Copy the directory to lib/plugins/. It sends `PURGE` to nginx on this machine; where that is
 * elsewhere, conf/local.php says so:
 * $conf['plugin']['nginxrediscache']['nginx'] = 'http://10.0.0.5';
 */
class action_plugin_nginxrediscache extends DokuWiki_Action_Plugin
{
    public function register(Doku_Event_Handler $controller)
    {
        $controller->register_hook('COMMON_WIKIPAGE_SAVE', 'AFTER', $this, 'saved');
    }

    public function saved(Doku_Event $event)
    {
        global $conf;
        $ids = [$event->data['id']];
        if ($event->data['changeType'] !== DOKU_CHANGE_TYPE_EDIT) {
            $ids = array_merge($ids, ft_backlinks($event->data['id'], true));
        }
        $targets = array_map('wl', $ids);
        if ($event->data['id'] === $conf['start']) {
            $targets[] = DOKU_REL;
        }
        $targets[] = DOKU_REL . 'feed.php';
        foreach ($targets as $target) {
            if (!$this->purge($target)) {
                break;
            }
        }
    }

    /** False where nginx did not purge it; the others wait no longer then. */
    private function purge($target)
    {
        $nginx = $this->getConf('nginx') ?: 'http://127.0.0.1';
        $host = parse_url(DOKU_URL, PHP_URL_HOST);
        $port = parse_url(DOKU_URL, PHP_URL_PORT);
        $context = stream_context_create(['http' => [
            'method' => 'PURGE',
            'header' => 'Host: ' . $host . ($port ? ":$port" : ''),
            'timeout' => 2,
        ]]);
        $isPurged = @file_get_contents($nginx . $target, false, $context) !== false;
        if (!$isPurged) {
            \dokuwiki\Logger::error("nginx-redis-cache: $target was not purged");
        }
        return $isPurged;
    }
}
