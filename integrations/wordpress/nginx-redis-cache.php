<?php
/*
 * Plugin Name: nginx-redis-cache
 * Description: Has nginx purge the pages that a post or a comment is on when it changes.
 * License: Apache-2.0
 *
 * Copy this file to wp-content/mu-plugins/. It sends `PURGE` to nginx on this machine; where
 * that is elsewhere, wp-config.php says so: define('NGINX_REDIS_CACHE', 'http://10.0.0.5');
 *
 * Themes, menus, widgets and options are on pages that nobody can list: they are seen when
 * those are no longer fresh (redis_cache_valid).
 */

namespace NginxRedisCache;

/** Lists of posts are purged up to this page. */
const DEPTH = 10;

/** A list, its following pages and its feed. */
function listing(string $url, int $posts, string $feed): array
{
    $pages = min(DEPTH, (int) ceil($posts / max(1, (int) get_option('posts_per_page'))));
    $urls = [$url, $feed];
    for ($page = 2; $page <= $pages; $page++) {
        $urls[] = user_trailingslashit(trailingslashit($url) . "page/$page");
    }
    return $urls;
}

/** Every page that shows the post. */
function pages_of(\WP_Post $post): array
{
    $urls = [get_permalink($post), get_post_comments_feed_link($post->ID)];
    if ($post->post_type !== 'post') {
        return $urls;
    }
    // One more than there are, for those that a post has just left.
    $all = (int) wp_count_posts()->publish + 1;
    $urls = [...$urls, get_feed_link('comments_rss2'), ...listing(home_url('/'), $all, get_feed_link())];
    foreach (get_object_taxonomies($post) as $taxonomy) {
        foreach (get_the_terms($post, $taxonomy) ?: [] as $term) {
            $urls = [...$urls, ...listing(get_term_link($term), $term->count + 1, get_term_feed_link($term->term_id, $taxonomy))];
        }
    }
    $author = (int) $post->post_author;
    $urls = [...$urls, ...listing(get_author_posts_url($author), count_user_posts($author) + 1, get_author_feed_link($author))];
    [$year, $month, $day] = explode('-', substr($post->post_date, 0, 10));
    return [...$urls, get_year_link($year), get_month_link($year, $month), get_day_link($year, $month, $day)];
}

/** Notes what is to be purged when the request is over and everything is written. */
function changed(int $id): void
{
    static $urls = [];
    $post = get_post($id);
    if (!$post || !is_post_type_viewable($post->post_type) || wp_is_post_revision($post)) {
        return;
    }
    if (!$urls) {
        add_action('shutdown', function () use (&$urls) {
            foreach (array_keys($urls) as $url) {
                if (!purge($url)) {
                    break;
                }
            }
        });
    }
    // Of a draft nobody has seen anything; one that was public a moment ago has been noted then.
    if ($post->post_status === 'publish') {
        $urls += array_fill_keys(array_filter(pages_of($post)), true);
    }
}

/** False where nginx is not there, which the other URLs need not find out. */
function purge(string $url): bool
{
    $parts = wp_parse_url($url);
    $target = ($parts['path'] ?? '/') . (isset($parts['query']) ? "?{$parts['query']}" : '');
    $host = $parts['host'] . (isset($parts['port']) ? ":{$parts['port']}" : '');
    $nginx = defined('NGINX_REDIS_CACHE') ? NGINX_REDIS_CACHE : 'http://127.0.0.1';
    $answer = wp_remote_request($nginx . $target, [
        'method' => 'PURGE',
        'headers' => ['Host' => $host],
        'redirection' => 0,
        'timeout' => 2,
    ]);
    if (is_wp_error($answer)) {
        error_log("nginx-redis-cache: $url was not purged: {$answer->get_error_message()}");
        return false;
    }
    $status = (int) wp_remote_retrieve_response_code($answer);
    if ($status >= 300) {
        error_log("nginx-redis-cache: $url was not purged: status $status");
    }
    return true;
}

// As it was, and as it is.
add_action('pre_post_update', __NAMESPACE__ . '\changed');
add_action('before_delete_post', __NAMESPACE__ . '\changed');
add_action('clean_post_cache', __NAMESPACE__ . '\changed');
// Terms are set after the post is written; comments change without it.
add_action('set_object_terms', __NAMESPACE__ . '\changed');
add_action('wp_update_comment_count', __NAMESPACE__ . '\changed');
add_action('edit_comment', function ($id) {
    changed((int) get_comment($id)->comment_post_ID);
});
