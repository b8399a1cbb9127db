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
