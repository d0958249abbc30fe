#!/bin/sh
# A client says the opposite of what its server offers: vfio_user 0.1.7 (crates.io), both sides of the same crate.
#
# DEVICE_GET_INFO's flags say in bit 0 whether the device can be reset.
# Guess: Client::resettable() is what was given to Server::new().
# Happens: it is the opposite. A program that asks it resets only the devices that cannot be reset.
# Seen:
#   the server can reset: true, its client says: false
#   the server can reset: false, its client says: true
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
cd "$work"
mkdir src
cat >Cargo.toml <<'END'
[package]
name = "finding"
version = "0.0.0"
edition = "2021"
[dependencies]
vfio_user = "=0.1.7"
END
cat >src/main.rs <<'END'
use std::{fs::File, io::Error, path::Path, thread};
use vfio_user::{Client, DmaMapFlags, DmaUnmapFlags, Server, ServerBackend};

struct Nothing;

#[rustfmt::skip]
impl ServerBackend for Nothing {
    fn region_read(&mut self, _: u32, _: u64, _: &mut [u8]) -> Result<(), Error> { Ok(()) }
    fn region_write(&mut self, _: u32, _: u64, _: &[u8]) -> Result<(), Error> { Ok(()) }
    fn dma_map(&mut self, _: DmaMapFlags, _: u64, _: u64, _: u64, _: Option<File>) -> Result<(), Error> { Ok(()) }
    fn dma_unmap(&mut self, _: DmaUnmapFlags, _: u64, _: u64) -> Result<(), Error> { Ok(()) }
    fn reset(&mut self) -> Result<(), Error> { Ok(()) }
    fn set_irqs(&mut self, _: u32, _: u32, _: u32, _: u32, _: Vec<File>) -> Result<(), Error> { Ok(()) }
}

fn main() {
    for can in [true, false] {
        let name = format!("socket-{can}");
        let server = Server::new(Path::new(&name), can, vec![], vec![]).expect("no server");
        // It returns when the client has gone.
        let serving = thread::spawn(move || drop(server.run(&mut Nothing)));
        let client = Client::new(Path::new(&name)).expect("no client");
        println!("the server can reset: {can}, its client says: {}", client.resettable());
        client.shutdown().expect("no end");
        serving.join().expect("no end of the server");
    }
}
END
cat >expected <<'END'
the server can reset: true, its client says: false
the server can reset: false, its client says: true
END
CARGO_TARGET_DIR=target cargo build --quiet >log 2>&1 || { cat log >&2; exit 2; }
target/debug/finding >seen
cat seen
diff expected seen >&2 || { echo "the behaviour has changed" >&2; exit 1; }
