# Most recipes are steps of `.ci/run`, so what passes here passes there.

_list:
    @just --list

# What a change has to pass.
ci:
    .ci/run

# Formatting and clippy.
lint:
    .ci/run lint

# All tests, or those whose name holds a word: `just test rename`.
test *WORDS:
    cargo test --locked {{WORDS}}

# The crate's own documentation, without warnings.
docs:
    .ci/run docs

# The program accepts the examples.
examples:
    .ci/run examples

# The benchmarks once each, to see that they still run.
benches:
    .ci/run benches

# The long forms of the tests of failures.
drills:
    .ci/run drills

# Code lines, files, types and the largest structs and functions by module, beside a revision's:
# `just size 907f9e1`.
size *REVISION:
    tools/size {{REVISION}}

# Crates, licences and sources against deny.toml.
deny:
    .ci/run deny

# The oldest Rust that is supported.
oldest:
    .ci/run oldest

# The tests of the feature `otel`.
features:
    .ci/run features

# What is in deploy/, as far as tools can tell.
deploy:
    .ci/run deploy

# Writes docs/reference again from the code; the tests fail while it is stale.
bless:
    UPDATE_DOCS=1 cargo test --locked --test it docs

# What is released, built and tried: tarball, Debian package, bill of materials.
package:
    deploy/package/build
    deploy/package/check

# The whole loop on this machine: repository, sandbox, daemon, status page.
demo:
    cargo run --locked -- demo
