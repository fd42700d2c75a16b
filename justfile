# One line over cargo each, so that nobody needs just.

fmt:
    cargo fmt --check

lint:
    cargo clippy --all-targets -- -D warnings

test:
    cargo test

sim:
    GALAXYD_HISTORIES=100000 GALAXYD_CRASH_HISTORIES=30 cargo test --release --test simulation

conformance:
    cargo test --test conformance

# Damaged input for everything that reads bytes from outside, ten minutes each, other inputs every time.
fuzz:
    GALAXYD_FUZZ_SECONDS=600 GALAXYD_SEED=$(date +%s)000000 cargo test --release --features tls --test fuzz -- --nocapture

# The same scenarios on the original and on ours, side by side; words choose some of them.
differential *words:
    cargo test --test differential -- {{words}}

# Record what the original does, after a change of the tests.
record:
    INSTA_UPDATE=always SUPERVISOR_UNDER_TEST=original cargo test --test conformance

# The forty faults; those that other tests play are named at the end, with what could not run and why.
faults:
    cargo test --test faults 2>&1 | tee target/faults.log; .ci/faults SPECIFICATION.md target/faults.log

# The same in their long forms: more programs, more bytes, longer waits, ten million requests. One after the other, as each
# takes all of a machine; of the binaries as they are shipped, whose bars they are.
faults-long:
    GALAXYD_FAULTS=long cargo test --release --test faults --test mutation -- --nocapture --test-threads=1 2>&1 | tee target/faults.log; .ci/faults SPECIFICATION.md target/faults.log

# The units, and limits, in virtual machines with systemd 257 and 252: half an hour, and 1 GB of images the first time.
vm:
    for suite in trixie bookworm; do GALAXYD_SYSTEMD_MODE=vm GALAXYD_SYSTEMD_SUITE=$suite cargo test --test systemd -- --include-ignored || exit 1; done

# A real Galaxy in which everything is replaced while jobs and requests come: eleven minutes, 1.3 GB.
galaxy:
    GALAXY_E2E=long cargo test --test galaxy -- --nocapture

# An hour of everything at once.
soak:
    GALAXYD_SOAK_SECS=3600 cargo test --release --test soak -- --nocapture

docs:
    RUSTDOCFLAGS="-D warnings" cargo doc --no-deps

book:
    mdbook build docs

deny:
    cargo deny check licenses bans sources

bench:
    cargo build --release && bench/run

ci:
    .ci/run
