/*
 * What bindings of nginx cannot say, or say wrongly: the bit fields of a request, which begin in the
 * middle of a word in nginx 1.30, and macros with arguments. nginx's own compiler flags make the code
 * of it, and bindgen reads the declarations for glue.rs.
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include <stdbool.h>

/* Older nginx has no name for it. */
#ifndef NGX_HTTP_VERSION_30
#define NGX_HTTP_VERSION_30  3000
#endif

/* A bit of r->buffered that nothing in nginx uses. */
#define BUFFERED  0x08

#define GET(bit) \
    bool ngx_http_redis_cache_##bit(const ngx_http_request_t *r) { return r->bit; }

#define SET(bit) \
    void ngx_http_redis_cache_set_##bit(ngx_http_request_t *r, bool value) { r->bit = value; }

GET(error_page)
GET(header_only)
GET(internal)
GET(post_action)
SET(allow_ranges)
SET(disable_not_modified)
SET(filter_need_in_memory)
SET(header_only)

#if (NGX_HTTP_CACHE)
GET(cached)
#endif

#if (NGX_HTTP_GZIP)
SET(gzip_ok)
SET(gzip_tested)
#endif

void
ngx_http_redis_cache_set_buffered(ngx_http_request_t *r, bool value)
{
    r->buffered = value ? r->buffered | BUFFERED : r->buffered & ~BUFFERED;
}

/* One more holds the main request. */
void
ngx_http_redis_cache_hold(ngx_http_request_t *r)
{
    r->main->count++;
}

/* headers_out.cache_control is an array before nginx 1.23, and a list since. */
ngx_int_t
ngx_http_redis_cache_link_cache_control(ngx_http_request_t *r, ngx_table_elt_t *field)
{
#if (nginx_version < 1023000)
    ngx_array_t *fields = &r->headers_out.cache_control;
    ngx_table_elt_t **place;

    if (fields->elts == NULL
        && ngx_array_init(fields, r->pool, 2, sizeof(ngx_table_elt_t *)) != NGX_OK)
    {
        return NGX_ERROR;
    }

    place = ngx_array_push(fields);
    if (place == NULL) {
        return NGX_ERROR;
    }
#else
    ngx_table_elt_t **place = &r->headers_out.cache_control;

    while (*place != NULL) {
        place = &(*place)->next;
    }
#endif

    *place = field;
    return NGX_OK;
}

/*
 * Where $http_cookie and $cookie_... look: an array of fields before nginx 1.23, their list since. One
 * field, or none, takes its place; what was there is given, to be put back.
 */
ngx_int_t
ngx_http_redis_cache_swap_cookies(ngx_http_request_t *r, ngx_table_elt_t *field, void **before)
{
#if (nginx_version < 1023000)
    ngx_array_t *fields = &r->headers_in.cookies;
    ngx_array_t *kept = ngx_palloc(r->pool, sizeof(ngx_array_t));

    if (kept == NULL) {
        return NGX_ERROR;
    }

    *kept = *fields;
    *before = kept;

    if (ngx_array_init(fields, r->pool, 1, sizeof(ngx_table_elt_t *)) != NGX_OK) {
        return NGX_ERROR;
    }

    if (field != NULL) {
        *(ngx_table_elt_t **) ngx_array_push(fields) = field;
    }
#else
    *before = r->headers_in.cookie;
    r->headers_in.cookie = field;
#endif

    return NGX_OK;
}

void
ngx_http_redis_cache_put_cookies_back(ngx_http_request_t *r, void *before)
{
#if (nginx_version < 1023000)
    r->headers_in.cookies = *(ngx_array_t *) before;
#else
    r->headers_in.cookie = before;
#endif
}

/*
 * A connection of nobody, as ngx_event_accept makes one: to where the client of a request came in, from
 * the same address, and in clear. The scheme of its requests is that of the request: nginx and its modules
 * look whether there is TLS, of which no byte is ever sent. Gives the other end of it, or -1.
 */
ngx_socket_t
ngx_http_redis_cache_connect_to_self(ngx_http_request_t *r, ngx_str_t *peer, ngx_atomic_uint_t *number)
{
    ngx_log_t             *log;
    ngx_addr_t             addr;
    ngx_socket_t           ends[2];
    ngx_connection_t      *c, *client = r->connection;
    ngx_listening_t       *ls = client->listening;
    ngx_http_addr_conf_t  *conf, saved;

    if (ls == NULL || r->http_connection == NULL || r->http_connection->addr_conf == NULL
        || socketpair(AF_UNIX, SOCK_STREAM|SOCK_NONBLOCK|SOCK_CLOEXEC, 0, ends) == -1)
    {
        return -1;
    }

    /* Where it listens on all addresses nothing is known of this one until somebody asks. */
    (void) ngx_connection_local_sockaddr(client, NULL, 0);

    c = ngx_get_connection(ends[0], ngx_cycle->log);
    if (c == NULL) {
        close(ends[0]);
        close(ends[1]);
        return -1;
    }

    c->log = ngx_cycle->log;
    c->read->log = c->log;
    c->write->log = c->log;
    c->pool = ngx_create_pool(ls->pool_size, c->log);
    log = c->pool ? ngx_palloc(c->pool, sizeof(ngx_log_t)) : NULL;
    if (log == NULL) {
        goto failed;
    }

    if (ngx_parse_addr(c->pool, &addr, peer->data, peer->len) != NGX_OK) {
        addr.socklen = client->socklen;
        addr.sockaddr = ngx_pnalloc(c->pool, addr.socklen);
        if (addr.sockaddr == NULL) {
            goto failed;
        }
        ngx_memcpy(addr.sockaddr, client->sockaddr, addr.socklen);
    }

    c->addr_text.data = ngx_pnalloc(c->pool, NGX_SOCKADDR_STRLEN);
    c->local_sockaddr = ngx_pnalloc(c->pool, client->local_socklen);
    if (c->addr_text.data == NULL || c->local_sockaddr == NULL) {
        goto failed;
    }

#if (NGX_SSL)
    if (client->ssl != NULL && client->ssl->connection != NULL) {
        ngx_ssl_connection_t  *ssl = ngx_pcalloc(c->pool, sizeof(ngx_ssl_connection_t));

        if (ssl == NULL) {
            goto failed;
        }
        ssl->connection = SSL_new(SSL_get_SSL_CTX(client->ssl->connection));
        if (ssl->connection == NULL) {
            goto failed;
        }
        c->ssl = ssl;
    }
#endif

    *log = ls->log;
    log->data = NULL;
    log->handler = NULL;

    c->type = SOCK_STREAM;
    c->sockaddr = addr.sockaddr;
    c->socklen = addr.socklen;
    c->addr_text.len = ngx_sock_ntop(c->sockaddr, c->socklen, c->addr_text.data, NGX_SOCKADDR_STRLEN, 0);
    ngx_memcpy(c->local_sockaddr, client->local_sockaddr, client->local_socklen);
    c->local_socklen = client->local_socklen;
    c->recv = ngx_recv;
    c->send = ngx_send;
    c->recv_chain = ngx_recv_chain;
    c->send_chain = ngx_send_chain;
    c->log = log;
    c->pool->log = log;
    c->listening = ls;
    c->tcp_nodelay = NGX_TCP_NODELAY_DISABLED;
    c->tcp_nopush = NGX_TCP_NOPUSH_DISABLED;
    c->read->log = log;
    c->write->log = log;
    c->write->ready = 1;
    c->number = ngx_atomic_fetch_add(ngx_connection_counter, 1);
    c->start_time = ngx_current_msec;
    *number = c->number;

#if (NGX_STAT_STUB)
    (void) ngx_atomic_fetch_add(ngx_stat_active, 1);
#endif

    /* It speaks HTTP/1.1 in clear, whatever clients have to speak there. */
    conf = r->http_connection->addr_conf;
    saved = *conf;
    conf->ssl = 0;
    conf->http2 = 0;
    conf->proxy_protocol = 0;
#if (nginx_version >= 1025000)
    conf->quic = 0;
#endif
    ls->handler(c);
    *conf = saved;

    if (c->fd == (ngx_socket_t) -1) {
        close(ends[1]);
        return -1;
    }

    return ends[1];

failed:

    if (c->pool != NULL) {
        ngx_destroy_pool(c->pool);
        c->pool = NULL;
    }
    ngx_close_connection(c);
    close(ends[1]);
    return -1;
}

/* A question to a resolver, or null, also where the resolver has no servers. */
ngx_resolver_ctx_t *
ngx_http_redis_cache_resolve_start(ngx_resolver_t *resolver)
{
    ngx_resolver_ctx_t *question = ngx_resolve_start(resolver, NULL);

    return question == NGX_NO_RESOLVER ? NULL : question;
}

#if (NGX_SSL)

/* A write may end in the middle of what it was given, and go on from a copy. */
void
ngx_http_redis_cache_ssl_set_mode(SSL_CTX *context)
{
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
}

/* The name that a client asks for (SNI). */
bool
ngx_http_redis_cache_ssl_set_host_name(SSL *ssl, const char *name)
{
    return SSL_set_tlsext_host_name(ssl, name) == 1;
}

#endif
