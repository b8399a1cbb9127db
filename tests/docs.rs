//! The docs against the code: docs/directives.md is the table of directives in words, and the
//! other documents and the samples leave nothing of it out.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fmt::Write;
use std::path::{Path, PathBuf};

use ngx_http_redis_cache_module::config::{Context, DIRECTIVES, Directive, UPSTREAM_DIRECTIVES};
use ngx_http_redis_cache_module::reason::{Reason, StoreReason};

const REWRITE: &str = "UPDATE_DOCS=1 cargo test --no-default-features --test docs";

/// The variables of src/nginx/http/variables.rs, and what docs/directives.md says of them.
const VARIABLES: &[(&str, &str)] = &[
    (
        "redis_cache_uri",
        "What the key of the http form is made of: scheme, `://`, host in lower case, `:port` \
         unless it is the scheme's own, and the request target as it was sent. In a subrequest \
         its own URI and arguments. There for every request, looked up or not; empty where the \
         Host header is not the host that selected the server.",
    ),
    (
        "redis_cache_scheme",
        "The scheme of that URI: `http` or `https`, of `redis_cache_forwarded` what is believed.",
    ),
    ("redis_cache_host", "Its host, and `:port` unless it is the scheme's own."),
    (
        "redis_cache_status",
        "`HIT`, `MISS`, `BYPASS`, `EXPIRED`, `REVALIDATED`, `STALE`, `UPDATING` or `ERROR`. Empty where no \
         `redis_cache_pass` or `redis_cache` was reached.",
    ),
    (
        "redis_cache_reason",
        "One word that says why; see [operations.md](operations.md#reasons). Empty where the \
         status is.",
    ),
    (
        "redis_cache_store_reason",
        "One word that says whether the application's answer was stored, and why not; see \
         [operations.md](operations.md#why-was-this-not-stored). Empty after a hit, and where \
         `redis_cache_store` is off.",
    ),
    (
        "redis_cache_key",
        "The key, byte for byte as Redis is asked for it. Of a page that varies it is the key of \
         the marker. Empty where no key was made, as for a request with Authorization.",
    ),
    (
        "redis_cache_age",
        "On a hit and a revalidation, the seconds since the page was new; empty where the page does not say.",
    ),
    (
        "redis_cache_time",
        "How long the lookup took, in seconds with six digits behind the point. Empty where none \
         was begun, as on a bypass.",
    ),
    (
        "redis_cache_wait_time",
        "How long the request waited for a page that another one fetched, in seconds with three digits \
         behind the point. Empty where it did not.",
    ),
    (
        "redis_cache_server",
        "The server and database of the lookup: `127.0.0.1:6379/1`, `[::1]:6379/0`, \
         `unix:/run/redis/redis.sock/2`; of an upstream the server that was asked, or the name of \
         the upstream where it was not known whom to ask. Empty where none was begun, as on a \
         bypass.",
    ),
];

const HEAD: &str = "\
# Directives and variables

<!-- Made from the table in src/config/directives.rs and the list in tests/docs.rs:
     UPDATE_DOCS=1 cargo test --no-default-features --test docs -->

A level inherits a directive from the level around it where it has none of that name itself, as
with nginx's own. `redis_cache_pass` alone is not inherited by nested locations, but is by `if`
and `limit_except`. Times and sizes are written as everywhere in nginx: `100ms`, `1m 30s`, `64k`,
`8m`; a time without a unit is in seconds. A value that is not allowed fails `nginx -t` with a
sentence that says what is.

`redis_cache_connections`, `redis_cache_queue`, `redis_cache_buffers`,
`redis_cache_connect_timeout`, `redis_cache_breaker`, `redis_cache_ssl_*` and the password belong
to the connections to a server, database and user, an endpoint: locations that name the same
endpoint must agree on them, or `nginx -t` fails. Set them once, on the level around these
locations.
";

const UPSTREAM_HEAD: &str = "\
## Directives of redis_cache_upstream

They stand between the braces of `redis_cache_upstream`, and nowhere else.
";

const VARIABLES_HEAD: &str = "\
## Variables

They keep their values through `redis_cache_fallback`, so an `access_log` in either location shows
them. nginx writes an empty one as `-` into a log.
";

fn file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn read(path: &str) -> String {
    std::fs::read_to_string(file(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn name(directive: &Directive) -> &str {
    directive.name.to_str().unwrap()
}

fn directives_md() -> String {
    let mut out = HEAD.to_owned();
    out.push_str("\n## Directives\n");
    out.push_str(&sections(DIRECTIVES));
    writeln!(out, "\n{UPSTREAM_HEAD}").unwrap();
    out.push_str(&sections(UPSTREAM_DIRECTIVES));
    writeln!(out, "\n{VARIABLES_HEAD}").unwrap();
    for (name, help) in VARIABLES {
        out.push_str(&wrapped(&format!("- `${name}`: {help}"), "  "));
    }
    out
}

fn sections(directives: &[Directive]) -> String {
    let mut out = String::new();
    for directive in directives {
        let name = name(directive);
        let default = match directive.default {
            "-" | "by format" => directive.default.to_owned(),
            value => format!("{name} {value};"),
        };
        let context = match directive.context {
            Context::Location => "location, if in location",
            Context::Any => "http, server, location",
            Context::Http => "http",
            Context::Upstream => "redis_cache_upstream",
        };
        writeln!(out, "\n### {name}\n\n```text").unwrap();
        writeln!(out, "Syntax:  {}", directive.syntax()).unwrap();
        writeln!(out, "Default: {default}").unwrap();
        writeln!(out, "Context: {context}\n```\n").unwrap();
        out.push_str(&wrapped(&linked(directive.help), ""));
    }
    out
}

/// A mention of another document becomes a link to it.
fn linked(text: &str) -> String {
    text.replace("See format.md.", "See [format.md](format.md).")
}

/// `text` in lines of at most 98 characters; those after the first begin with `indent`.
fn wrapped(text: &str, indent: &str) -> String {
    let mut out = String::new();
    let mut line = String::new();
    for word in text.split_ascii_whitespace() {
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > 98 {
            writeln!(out, "{line}").unwrap();
            line = indent.to_owned();
        }
        if !line.trim().is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    writeln!(out, "{line}").unwrap();
    out
}

#[test]
fn directives_md_is_the_table() {
    let wanted = directives_md();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(file("docs/directives.md"), &wanted).unwrap();
    }
    let found = std::fs::read_to_string(file("docs/directives.md")).unwrap_or_default();
    if found == wanted {
        return;
    }
    let differs = found.lines().zip(wanted.lines()).position(|(found, wanted)| found != wanted);
    let at = differs.unwrap_or_else(|| found.lines().count().min(wanted.lines().count()));
    panic!(
        "docs/directives.md is not what the table of directives says, from line {} on:\n  \
         file:  {}\n  table: {}\n`{REWRITE}` rewrites it",
        at + 1,
        found.lines().nth(at).unwrap_or("(ends)"),
        wanted.lines().nth(at).unwrap_or("(ends)"),
    );
}

#[test]
fn the_list_of_variables_is_that_of_the_module() {
    let code = read("src/nginx/http/variables.rs");
    let known = code.split("(\"redis_cache_").skip(1).filter_map(|rest| rest.split('"').next());
    let known: Vec<_> = known.map(|rest| format!("redis_cache_{rest}")).collect();
    let listed: Vec<_> = VARIABLES.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(listed, known, "VARIABLES in tests/docs.rs against src/nginx/http/variables.rs");
}

/// The rows of words in a section of docs/operations.md.
fn rows(section: &str) -> Vec<String> {
    let text = read("docs/operations.md");
    let section = text.split(&format!("\n## {section}\n")).nth(1).expect("the section").to_owned();
    let section = section.split("\n## ").next().unwrap();
    section.lines().filter(|line| line.starts_with("| `")).map(ToOwned::to_owned).collect()
}

#[test]
fn operations_md_has_every_reason() {
    let row = |r: &Reason| format!("| `{r}` | {} | {} |", r.status().as_str(), r.sentence());
    let wanted: Vec<_> = Reason::ALL.iter().map(row).collect();
    assert_eq!(rows("Reasons"), wanted, "the table has to be:\n{}", wanted.join("\n"));
}

#[test]
fn operations_md_has_every_reason_of_storing() {
    let row = |r: &StoreReason| format!("| `{r}` | {} |", r.sentence());
    let wanted: Vec<_> = StoreReason::ALL.iter().map(row).collect();
    let found = rows("Why was this not stored?");
    assert_eq!(found, wanted, "the table has to be:\n{}", wanted.join("\n"));
}

#[test]
fn readme_names_every_directive_and_variable() {
    let readme = read("README.md");
    let names = DIRECTIVES.iter().map(|directive| format!("`{}`", name(directive)));
    let variables = VARIABLES.iter().map(|(name, _)| format!("`${name}`"));
    let rows: Vec<_> = readme.lines().filter_map(|line| line.strip_prefix("| ")).collect();
    for wanted in names.chain(variables) {
        let row = rows.iter().any(|row| row.starts_with(&wanted));
        assert!(row, "README.md has no row that begins with {wanted}");
    }
    assert!(readme.lines().count() < 300, "README.md has 300 lines or more");
}

#[test]
fn every_directive_is_in_a_sample() {
    let samples: String = std::fs::read_dir(file("nginx-conf"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "conf"))
        .map(|path| std::fs::read_to_string(path).unwrap())
        .collect();
    let used: Vec<_> = samples
        .lines()
        .map(str::trim_start)
        .filter(|line| !line.starts_with('#'))
        .flat_map(str::split_ascii_whitespace)
        .collect();
    for directive in DIRECTIVES.iter().chain(UPSTREAM_DIRECTIVES) {
        let name = name(directive);
        let used = used.iter().any(|word| word.trim_end_matches(';') == name);
        assert!(used, "no sample in nginx-conf/ has {name}");
    }
}

/// Links between the documents lead somewhere.
#[test]
fn links_lead_somewhere() {
    let documents = [
        "README.md",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "docs/architecture.md",
        "docs/compatibility.md",
        "docs/directives.md",
        "docs/django.md",
        "docs/format.md",
        "docs/migrating.md",
        "docs/operations.md",
        "docs/packaging.md",
        "docs/reliability.md",
        "docs/rfc9111.md",
        "tests/vectors/README.md",
    ];
    for document in documents {
        let text = read(document);
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            if path.starts_with("https://") {
                continue;
            }
            let target = if path.is_empty() {
                file(document)
            } else {
                file(document).parent().unwrap().join(path)
            };
            assert!(target.exists(), "{document}: nothing at {link}");
            if !anchor.is_empty() {
                let target = std::fs::read_to_string(target).unwrap();
                let found =
                    target.lines().filter(|l| l.starts_with('#')).any(|l| slug(l) == anchor);
                assert!(found, "{document}: no heading for {link}");
            }
        }
    }
}

/// The anchor of a heading.
fn slug(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    text.chars()
        .filter_map(|c| match c {
            ' ' => Some('-'),
            c if c.is_alphanumeric() || c == '-' || c == '_' => Some(c),
            _ => None,
        })
        .collect()
}
