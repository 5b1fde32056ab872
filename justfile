# What a change has to pass.
ci:
    .ci/run

test:
    cargo test --locked

lint:
    cargo fmt --check
    cargo clippy --locked --all-targets -- -D warnings

demo:
    cargo run --release -- demo
