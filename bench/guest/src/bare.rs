//! What a program without a host needs: memory, and an end.

use core::{arch::wasm32, ptr::null_mut};
use novate_heap::{Heap, Host};

/// The guest's own memory in pages of 64 KiB, whose addresses are multiples of eight. The runtime's heap asks for few and large pieces, and
/// nothing is given back: an instance is thrown away as a whole.
struct Pages;

const PAGE: u32 = 1 << 16;

impl Host for Pages {
    fn malloc(bytes: u32) -> *mut u8 {
        match wasm32::memory_grow::<0>(bytes.div_ceil(PAGE) as usize) {
            usize::MAX => null_mut(),
            page => (page * PAGE as usize) as *mut u8,
        }
    }

    fn free(_: *mut u8) {}
}

#[global_allocator]
static HEAP: Heap<Pages> = Heap::new();

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    wasm32::unreachable()
}
