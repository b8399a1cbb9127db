/* Writes the query of the request into the field X-User of its response. */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

static ngx_http_output_header_filter_pt ngx_http_next_header_filter;

static ngx_int_t
ngx_http_greeter_header_filter(ngx_http_request_t *r)
{
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *field;

    for (part = &r->headers_out.headers.part; part; part = part->next) {
        field = part->elts;

        for (i = 0; i < part->nelts; i++) {
            if (field[i].key.len == sizeof("X-User") - 1
                && ngx_strncasecmp(field[i].key.data, (u_char *) "X-User", sizeof("X-User") - 1) == 0)
            {
                field[i].value = r->args;
            }
        }
    }

    return ngx_http_next_header_filter(r);
}

static ngx_int_t
ngx_http_greeter_init(ngx_conf_t *cf)
{
    ngx_http_next_header_filter = ngx_http_top_header_filter;
    ngx_http_top_header_filter = ngx_http_greeter_header_filter;
    return NGX_OK;
}

static ngx_http_module_t ngx_http_greeter_filter_module_ctx = {
    NULL, ngx_http_greeter_init, NULL, NULL, NULL, NULL, NULL, NULL
};

ngx_module_t ngx_http_greeter_filter_module = {
    NGX_MODULE_V1,
    &ngx_http_greeter_filter_module_ctx,
    NULL,
    NGX_HTTP_MODULE,
    NULL, NULL, NULL, NULL, NULL, NULL, NULL,
    NGX_MODULE_V1_PADDING
};
