//! Tells the crate which nginx it is built for, compiles and binds `src/nginx/sys/glue.c`, and has the C
//! compiler say where the fields of nginx's structures are, so that `src/nginx/sys/layout.rs` can refuse
//! bindings that disagree.
//!
//! Without the feature `nginx` there is nothing to do.
#![allow(clippy::print_stderr, clippy::print_stdout, reason = "cargo listens to stdout")]
#![cfg_attr(not(feature = "nginx"), allow(dead_code, unused_imports))]

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// A structure of nginx, the fields that the module touches, and its bit fields.
type Structure = (&'static str, &'static [&'static str], &'static [&'static str]);

const STRUCTURES: &[Structure] = &[
    (
        "ngx_http_request_t",
        &[
            "connection",
            "ctx",
            "loc_conf",
            "read_event_handler",
            "write_event_handler",
            "pool",
            "headers_in",
            "headers_out",
            "method",
            "http_version",
            "method_name",
            "unparsed_uri",
            "uri",
            "args",
            "variables",
            "main",
            "host_start",
            "host_end",
            "upstream",
            "postponed",
            "err_status",
        ],
        &[],
    ),
    (
        "ngx_http_headers_in_t",
        &[
            "headers",
            "host",
            "if_modified_since",
            "if_unmodified_since",
            "if_match",
            "if_none_match",
            "if_range",
            "range",
            "authorization",
            "server",
            "content_length_n",
        ],
        &["chunked"],
    ),
    ("ngx_http_upstream_t", &["headers_in", "pipe", "length", "cleanup", "schema"], &["buffering"]),
    (
        "ngx_http_upstream_headers_in_t",
        &["headers", "status_n", "content_length_n"],
        &["connection_close", "chunked"],
    ),
    ("ngx_event_pipe_t", &[], &["upstream_done"]),
    (
        "ngx_http_headers_out_t",
        &[
            "headers",
            "status",
            "status_line",
            "server",
            "date",
            "content_encoding",
            "location",
            "last_modified",
            "expires",
            "etag",
            "content_type_len",
            "content_type",
            "charset",
            "content_type_lowcase",
            "content_length_n",
            "last_modified_time",
        ],
        &[],
    ),
    ("ngx_table_elt_t", &["hash", "key", "value", "lowcase_key"], &[]),
    ("ngx_list_t", &["last", "part", "size", "nalloc", "pool"], &[]),
    ("ngx_list_part_t", &["elts", "nelts", "next"], &[]),
    ("ngx_array_t", &["elts", "nelts", "size", "nalloc", "pool"], &[]),
    (
        "ngx_connection_t",
        &["data", "read", "write", "fd", "recv", "send", "log", "addr_text"],
        &["idle", "close", "buffered"],
    ),
    (
        "ngx_peer_connection_t",
        &["connection", "sockaddr", "socklen", "name", "get", "log"],
        &["so_keepalive"],
    ),
    (
        "ngx_event_t",
        &["data", "handler", "log", "timer", "queue"],
        &["posted", "timer_set", "timedout", "ready", "cancelable"],
    ),
    (
        "ngx_buf_t",
        &["pos", "last", "file_pos", "file_last", "start", "end"],
        &["temporary", "memory", "mmap", "in_file", "last_buf", "last_in_chain"],
    ),
    ("ngx_chain_t", &["buf", "next"], &[]),
    ("ngx_pool_t", &["cleanup"], &[]),
    ("ngx_pool_cleanup_t", &["handler", "data", "next"], &[]),
    ("ngx_http_cleanup_t", &["handler", "data"], &[]),
    (
        "ngx_http_core_loc_conf_t",
        &[
            "name",
            "handler",
            "locations",
            "internal",
            "error_pages",
            "resolver",
            "resolver_timeout",
        ],
        &["noname"],
    ),
    ("ngx_http_conf_ctx_t", &["loc_conf"], &[]),
    ("ngx_http_location_queue_t", &["queue", "inclusive"], &[]),
    ("ngx_queue_t", &["next"], &[]),
    ("ngx_resolver_t", &["connections"], &[]),
    ("ngx_shm_zone_t", &["data", "shm", "init"], &[]),
    ("ngx_shm_t", &["addr"], &[]),
    (
        "ngx_resolver_ctx_t",
        &["state", "name", "valid", "naddrs", "addrs", "handler", "data", "timeout"],
        &["cancelable"],
    ),
    ("ngx_resolver_addr_t", &["sockaddr", "socklen"], &[]),
    ("ngx_http_core_srv_conf_t", &["server_name", "named_locations"], &[]),
    ("ngx_http_core_main_conf_t", &["variables", "phases"], &[]),
    ("ngx_http_phase_t", &["handlers"], &[]),
    ("ngx_http_err_page_t", &["status", "overwrite", "value"], &[]),
    ("ngx_http_complex_value_t", &["value"], &[]),
    ("ngx_http_compile_complex_value_t", &["cf", "value", "complex_value"], &[]),
    ("ngx_http_variable_t", &["name", "get_handler", "data"], &[]),
    ("ngx_variable_value_t", &["data"], &["len", "valid", "no_cacheable", "not_found"]),
    ("ngx_http_log_ctx_t", &["current_request"], &[]),
    ("ngx_conf_t", &["args", "cycle", "pool", "conf_file", "handler", "handler_conf"], &[]),
    ("ngx_conf_file_t", &["file", "line"], &[]),
    ("ngx_cycle_t", &["modules", "log", "conf_ctx"], &[]),
    ("ngx_log_t", &["log_level", "writer", "wdata", "next"], &[]),
    ("ngx_command_t", &["name", "type", "set", "conf", "offset", "post"], &[]),
    ("ngx_module_t", &["ctx_index", "name", "ctx", "commands", "type"], &[]),
];

/// Structures that only an nginx with OpenSSL has.
const WITH_SSL: [Structure; 3] = [
    ("ngx_connection_t", &["ssl", "pool"], &[]),
    ("ngx_ssl_t", &["ctx", "log"], &[]),
    (
        "ngx_ssl_connection_t",
        &["connection", "last", "handler", "save_session"],
        &["handshaked", "no_wait_shutdown", "no_send_shutdown"],
    ),
];

/// Those that only an nginx with threads has.
const WITH_THREADS: Structure = ("ngx_thread_task_t", &["ctx", "handler", "event"], &[]);

/// What Rust cannot say, and how its names begin.
const GLUE: &str = "src/nginx/sys/glue.c";
const PREFIX: &str = "ngx_http_redis_cache_";

/// The oldest nginx that the module is tested with.
const OLDEST: u32 = 1_022_000;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(ngx_feature, values(any()))");
    #[cfg(feature = "nginx")]
    if let Err(sentence) = configure() {
        eprintln!("nginx-redis-cache: {sentence}");
        std::process::exit(1);
    }
}

#[cfg(feature = "nginx")]
fn configure() -> Result<(), String> {
    let told = |name: &str| {
        env::var(format!("DEP_NGINX_{name}"))
            .map_err(|_| format!("nginx-sys did not report {name}: run `make build`"))
    };
    let version: u32 = told("VERSION_NUMBER")?
        .trim()
        .parse()
        .map_err(|_| "nginx-sys reported no version number: run `make build`".to_owned())?;
    if version < OLDEST {
        return Err(format!(
            "this nginx ({version}) is older than 1.22.0: set NGINX_SOURCE_DIR and \
             NGINX_BUILD_DIR to the source and the configured build of a newer one"
        ));
    }
    let features = told("FEATURES")?;
    let mut structures = STRUCTURES.to_vec();
    for feature in features.split(',') {
        println!("cargo::rustc-cfg=ngx_feature=\"{feature}\"");
        match feature {
            "ssl" => structures.extend(WITH_SSL),
            "threads" => structures.push(WITH_THREADS),
            _ => {}
        }
    }
    // Only the three tables of a dynamic module leave the library: nginx loads it RTLD_GLOBAL.
    println!("cargo::rustc-cdylib-link-arg=-Wl,--exclude-libs,ALL");
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo set no OUT_DIR")?);
    let flags = compiler_flags(&told("INCLUDE")?, &told("BUILD_DIR")?)?;
    let measured = measure(&structures, &flags, &out)?;
    let rust = rust_source(&measured)?;
    fs::write(out.join("layout.rs"), rust).map_err(|error| format!("cannot write: {error}"))?;
    compile_glue(&flags)?;
    bind_glue(&flags, &out)
}

/// Flags that this very nginx is compiled with; warnings are its own affair.
fn compiler_flags(include: &str, build_dir: &str) -> Result<Vec<String>, String> {
    let makefile = fs::read_to_string(Path::new(build_dir).join("Makefile"))
        .map_err(|error| format!("cannot read nginx's Makefile in {build_dir}: {error}"))?;
    let flags = makefile.lines().find_map(|line| line.strip_prefix("CFLAGS =")).unwrap_or_default();
    let flags = flags.split_whitespace().filter(|flag| *flag != "-Werror" && *flag != "-g");
    let includes = env::split_paths(include).map(|path| format!("-I{}", path.display()));
    Ok(flags.map(str::to_owned).chain(includes).collect())
}

/// Makes a library of glue.c. It says nothing of paths, so that a release is the same anywhere.
#[cfg(feature = "nginx")]
fn compile_glue(flags: &[String]) -> Result<(), String> {
    println!("cargo::rerun-if-changed={GLUE}");
    let flags = flags.iter().filter(|flag| !flag.starts_with("-O") && !flag.starts_with("-flto"));
    cc::Build::new()
        .file(GLUE)
        .flags(flags)
        .flag("-fPIC")
        .warnings(false)
        .debug(false)
        .try_compile("redis_cache_glue")
        .map_err(|error| format!("{GLUE} does not compile: {error}"))
}

/// Makes bindings of glue.c; the types in them are those of nginx-sys.
#[cfg(feature = "nginx")]
fn bind_glue(flags: &[String], out: &Path) -> Result<(), String> {
    let is_for_headers = |flag: &&String| flag.starts_with("-D") || flag.starts_with("-I");
    bindgen::Builder::default()
        .header(GLUE)
        .clang_args(flags.iter().filter(is_for_headers))
        .allowlist_item(format!("{PREFIX}.*|NGX_HTTP_VERSION_30"))
        .allowlist_recursively(false)
        .parse_callbacks(Box::new(WithoutPrefix))
        .rust_target(bindgen::RustTarget::stable(85, 0).map_err(|error| error.to_string())?)
        .rust_edition(bindgen::RustEdition::Edition2024)
        .layout_tests(false)
        .generate()
        .map_err(|error| format!("{GLUE} cannot be bound: {error}"))?
        .write_to_file(out.join("glue.rs"))
        .map_err(|error| format!("cannot write: {error}"))
}

#[cfg(feature = "nginx")]
#[derive(Debug)]
struct WithoutPrefix;

#[cfg(feature = "nginx")]
impl bindgen::callbacks::ParseCallbacks for WithoutPrefix {
    fn item_name(&self, item: bindgen::callbacks::ItemInfo<'_>) -> Option<String> {
        item.name.strip_prefix(PREFIX).map(str::to_owned)
    }
}

/// Compiles a program with nginx's own flags that prints sizes, offsets and bits, and runs it.
#[cfg(feature = "nginx")]
fn measure(structures: &[Structure], flags: &[String], out: &Path) -> Result<String, String> {
    if env::var_os("HOST") != env::var_os("TARGET") {
        return Err("cross-compiling is not supported: the layout check runs a program".into());
    }
    let source = out.join("layout.c");
    let program = out.join("layout");
    fs::write(&source, c_source(structures)).map_err(|error| format!("cannot write: {error}"))?;
    let compiler = cc::Build::new().warnings(false).try_get_compiler().map_err(|error| {
        format!("found no C compiler ({error}): install gcc, or run `make build` as root")
    })?;
    let compiled = Command::new(compiler.path())
        .args(flags)
        .arg("-o")
        .args([&program, &source])
        .output()
        .map_err(|error| format!("cannot run the C compiler: {error}"))?;
    if !compiled.status.success() {
        return Err(format!(
            "nginx's headers do not compile; are NGINX_SOURCE_DIR and NGINX_BUILD_DIR those of \
             one nginx?\n{}",
            String::from_utf8_lossy(&compiled.stderr)
        ));
    }
    let ran = Command::new(&program).output().map_err(|error| format!("cannot run: {error}"))?;
    String::from_utf8(ran.stdout).map_err(|error| error.to_string())
}

/// Lines `size TYPE N`, `field TYPE FIELD N` and `bit TYPE FIELD BYTE MASK`.
fn c_source(structures: &[Structure]) -> String {
    let mut body = String::new();
    for (name, fields, bits) in structures {
        let _ = writeln!(body, "printf(\"size {name} %zu\\n\", sizeof({name}));");
        for field in *fields {
            let _ = writeln!(
                body,
                "printf(\"field {name} {field} %zu\\n\", offsetof({name}, {field}));"
            );
        }
        for bit in *bits {
            let _ = writeln!(
                body,
                "{{ static {name} s; s.{bit} = 1; show(\"{name} {bit}\", &s, sizeof(s)); }}"
            );
        }
    }
    format!(
        "#include <ngx_config.h>\n#include <ngx_core.h>\n#include <ngx_http.h>\n\
         #include <stddef.h>\n#include <stdio.h>\n\
         static void show(const char *name, const void *s, size_t n) {{\n\
         const unsigned char *p = s;\n\
         for (size_t i = 0; i < n; i++) if (p[i]) printf(\"bit %s %zu %u\\n\", name, i, p[i]);\n\
         }}\nint main(void) {{\n{body}return 0;\n}}\n"
    )
}

/// Constants that the compiler compares, and a function that checks bit fields when nginx starts.
fn rust_source(measured: &str) -> Result<String, String> {
    let (mut constants, mut bits) = (String::new(), String::new());
    for line in measured.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let _ = match words.as_slice() {
            ["size", name, size] => writeln!(
                constants,
                "const _: () = assert!(size_of::<ngx::ffi::{name}>() == {size}, \"size of {name}\");"
            ),
            ["field", name, field, offset] => {
                let rust = if *field == "type" { "type_" } else { field };
                writeln!(
                    constants,
                    "const _: () = assert!(std::mem::offset_of!(ngx::ffi::{name}, {rust}) == \
                     {offset}, \"{name}.{field}\");"
                )
            }
            ["bit", name, field, byte, mask] => writeln!(
                bits,
                "check::<ngx::ffi::{name}>(\"{name}.{field}\", {byte}, {mask}, |s| \
                 s.set_{field}(1))?;"
            ),
            _ => return Err(format!("the layout program printed \"{line}\"")),
        };
    }
    Ok(format!(
        "{constants}\n/// Whether every bit field is where the C compiler has it.\n\
         pub(in crate::nginx) fn verify() -> Result<(), String> {{\n{bits}Ok(())\n}}\n"
    ))
}
