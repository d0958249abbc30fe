// The Rust crate's client against the server of this library: `rust-client SOCKET`. A line for each thing that was asked.
use std::fs::File;
use std::os::fd::{AsRawFd, FromRawFd};
use std::path::Path;
use vfio_user::Client;
use vmm_sys_util::eventfd::EventFd;

const BAR0: u32 = 0;
const CONFIG: u32 = 7;
const MSIX: u32 = 2;
const EVENTFD_TRIGGER: u32 = 0x24;
/// Of the device: raises vector 0.
const INTERRUPT: [u8; 4] = [3, 0, 0, 0];

fn main() {
    let socket = std::env::args().nth(1).expect("usage: rust-client SOCKET");
    let mut client = Client::new(Path::new(&socket)).expect("connect");
    for index in [0, 1, 7] {
        let region = client.region(index).expect("region");
        println!("region {index} size {} areas {}", region.size, region.sparse_areas.len());
    }
    println!("vectors {}", client.get_irq_info(MSIX).expect("interrupt info").count);
    let mut word = [0u8; 4];
    client.region_read(CONFIG, 0, &mut word).expect("read of config space");
    println!("config {:08x}", u32::from_le_bytes(word));
    client.region_write(BAR0, 4, &0x1234_5678u32.to_le_bytes()).expect("write");
    client.region_read(BAR0, 4, &mut word).expect("read");
    println!("register {:08x}", u32::from_le_bytes(word));

    let memory = unsafe { File::from_raw_fd(libc::memfd_create(c"memory".as_ptr(), libc::MFD_CLOEXEC)) };
    memory.set_len(1 << 20).expect("size");
    client.dma_map(0, 0x10_0000, 1 << 20, memory.as_raw_fd()).expect("map");
    client.dma_unmap(0x10_0000, 1 << 20).expect("unmap");
    println!("mapped and unmapped");

    let event = EventFd::new(0).expect("eventfd");
    client.set_irqs(MSIX, EVENTFD_TRIGGER, 0, 1, &[event.as_raw_fd()]).expect("interrupts");
    client.region_write(BAR0, 0x14, &INTERRUPT).expect("command");
    println!("interrupts {}", event.read().expect("interrupt"));
    client.shutdown().expect("shutdown");
}
