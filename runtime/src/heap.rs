//! The blob's heap. Allocating is no call to the host: see `novate_heap`.

use novate_heap::Heap;

struct Allocator;

impl novate_heap::Host for Allocator {
    fn malloc(bytes: u32) -> *mut u8 {
        sp_io::allocator::malloc(bytes)
    }

    fn free(address: *mut u8) {
        sp_io::allocator::free(address);
    }
}

#[global_allocator]
static HEAP: Heap<Allocator> = Heap::new();
