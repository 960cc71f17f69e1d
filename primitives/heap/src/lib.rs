//! The runtime's heap, inside its own memory.
//!
//! Without it each allocation of a runtime is a call to the host and each release another: for an order some hundreds, at the
//! price of a storage access for every few. Here both are a handful of instructions: blocks of powers of two, cut from a few
//! large chunks of the host's and kept in lists by size when they are released (the scheme of the host's own allocator, Knuth,
//! *The Art of Computer Programming* 1, 2.5).
//!
//! The host allocates what it hands to the runtime by its own allocator, and the runtime releases that as if it were its
//! own. Addresses tell them apart: what lies outside the chunks goes back to the host. Chunks double in size, so that a call
//! that reads a balance takes little and one that runs a whole block takes few.
//!
//! An instance of a runtime has one thread and lives for one call, and so does its heap: nothing outlasts it.

#![no_std]
#![warn(missing_docs)]

use core::{
    alloc::{GlobalAlloc, Layout},
    cell::UnsafeCell,
    ptr::null_mut,
};

/// The allocator of whoever runs the runtime. Its addresses are multiples of eight.
pub trait Host {
    /// Bytes at a new address.
    fn malloc(bytes: u32) -> *mut u8;
    /// Releases what [`Host::malloc`] gave, or what the host gave of its own accord.
    fn free(address: *mut u8);
}

/// Alignment that the host's addresses have.
const HOST_ALIGN: usize = 8;
/// The largest alignment there is: the distance to a host's block is kept in two bytes.
const LARGEST_ALIGN: usize = 1 << 15;
/// The smallest block, as a power of two. Every block is aligned to it: enough for anything the runtime holds.
const SMALLEST: u32 = 4;
/// The largest block cut from a chunk, as a power of two. Larger ones are the host's.
const LARGEST: u32 = 20;
/// The first chunk.
const FIRST_CHUNK: usize = 128 << 10;
/// So often the next chunk is twice the last: up to 8 MiB, a quarter of what the host allocates at once.
const DOUBLINGS: usize = 6;
/// Chunks at most: the host's memory ends sooner.
const CHUNKS: usize = 32;
/// Sizes of blocks.
const SIZES: usize = (LARGEST - SMALLEST + 1) as usize;

/// A released block: where the next of its size is.
struct Free {
    next: *mut Free,
}

/// Memory from one address to another.
#[derive(Clone, Copy)]
struct Chunk {
    from: usize,
    to: usize,
}

impl Chunk {
    const NONE: Self = Self { from: 0, to: 0 };
}

struct State {
    /// Released blocks by size.
    free: [*mut Free; SIZES],
    /// All chunks, and of the last one what was not cut off yet.
    chunks: [Chunk; CHUNKS],
    count: usize,
    rest: Chunk,
}

/// A heap in chunks of `H`'s memory.
pub struct Heap<H> {
    state: UnsafeCell<State>,
    host: core::marker::PhantomData<fn() -> H>,
}

// SAFETY: a runtime has one thread.
unsafe impl<H> Sync for Heap<H> {}

impl<H> Default for Heap<H> {
    fn default() -> Self {
        Self::new()
    }
}

impl<H> Heap<H> {
    /// An empty heap.
    pub const fn new() -> Self {
        Self {
            state: UnsafeCell::new(State {
                free: [null_mut(); SIZES],
                chunks: [Chunk::NONE; CHUNKS],
                count: 0,
                rest: Chunk::NONE,
            }),
            host: core::marker::PhantomData,
        }
    }
}

impl State {
    /// Whether a block was cut from one of the chunks. The last are the largest.
    fn holds(&self, address: usize) -> bool {
        let chunks = self.chunks.iter().take(self.count);
        chunks
            .rev()
            .any(|chunk| (chunk.from..chunk.to).contains(&address))
    }

    /// Cuts off `bytes`, a power of two; zero if the host has no more.
    fn cut<H: Host>(&mut self, bytes: usize) -> usize {
        if self.rest.to - self.rest.from < bytes && !self.add_chunk::<H>(bytes) {
            return 0;
        }
        let block = self.rest.from;
        self.rest.from += bytes;
        block
    }

    /// What is left of the last chunk is not used: at most as much as one block.
    fn add_chunk<H: Host>(&mut self, least: usize) -> bool {
        if self.count == CHUNKS {
            return false;
        }
        // A power of two, as the host would round it up to one, and room for a block after its beginning is aligned.
        let bytes = (FIRST_CHUNK << self.count.min(DOUBLINGS)).max(2 * least);
        let address = H::malloc(bytes as u32) as usize;
        if address == 0 {
            return false;
        }
        let chunk = Chunk {
            from: address.next_multiple_of(1 << SMALLEST),
            to: address + bytes,
        };
        self.chunks[self.count] = chunk;
        self.count += 1;
        self.rest = chunk;
        true
    }
}

/// Which of the sizes holds the layout; none if no block of a chunk does.
fn size_of(layout: &Layout) -> Option<usize> {
    let bytes = layout.size().max(1).checked_next_power_of_two()?;
    let power = bytes.trailing_zeros().max(SMALLEST);
    let fits = power <= LARGEST && layout.align() <= 1 << SMALLEST;
    fits.then_some((power - SMALLEST) as usize)
}

impl<H: Host> Heap<H> {
    /// A block of the host, aligned as asked. Beyond the host's own alignment the distance to where its block begins is kept in
    /// the two bytes before.
    unsafe fn from_host(layout: Layout) -> *mut u8 {
        let padding = match layout.align() {
            ..=HOST_ALIGN => 0,
            align => align,
        };
        let Some(bytes) = layout
            .size()
            .checked_add(padding)
            .filter(|_| padding <= LARGEST_ALIGN)
            .and_then(|bytes| u32::try_from(bytes).ok())
        else {
            return null_mut();
        };
        let block = H::malloc(bytes);
        if padding == 0 || block.is_null() {
            return block;
        }
        // SAFETY: between one and `align` bytes in, at least eight as both are multiples of eight, and the layout fits behind.
        unsafe {
            let distance = padding - block as usize % padding;
            let aligned = block.add(distance);
            aligned.cast::<u16>().sub(1).write(distance as u16);
            aligned
        }
    }

    unsafe fn to_host(address: *mut u8, layout: Layout) {
        let distance = match layout.align() {
            ..=HOST_ALIGN => 0,
            // SAFETY: written by `from_host`.
            _ => usize::from(unsafe { address.cast::<u16>().sub(1).read() }),
        };
        // SAFETY: back to where the host's block begins.
        H::free(unsafe { address.sub(distance) });
    }
}

// SAFETY: blocks of chunks do not overlap (each is cut off once, and is either in use or in the list of its size), and
// have at least the size and alignment of their layout. The layout of a release is that of its allocation.
unsafe impl<H: Host> GlobalAlloc for Heap<H> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let Some(size) = size_of(&layout) else {
            return unsafe { Self::from_host(layout) };
        };
        let state = unsafe { &mut *self.state.get() };
        let released = state.free[size];
        if !released.is_null() {
            state.free[size] = unsafe { (*released).next };
            return released.cast();
        }
        match state.cut::<H>(1 << (size as u32 + SMALLEST)) {
            0 => unsafe { Self::from_host(layout) },
            block => block as *mut u8,
        }
    }

    unsafe fn dealloc(&self, address: *mut u8, layout: Layout) {
        let state = unsafe { &mut *self.state.get() };
        if !state.holds(address as usize) {
            return unsafe { Self::to_host(address, layout) };
        }
        // A block of a chunk has a size.
        if let Some(size) = size_of(&layout) {
            let block = address.cast::<Free>();
            unsafe {
                block.write(Free {
                    next: state.free[size],
                })
            };
            state.free[size] = block;
        }
    }

    unsafe fn realloc(&self, address: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        let Ok(grown) = Layout::from_size_align(bytes, layout.align()) else {
            return null_mut();
        };
        let state = unsafe { &*self.state.get() };
        let same = size_of(&layout) == size_of(&grown) && size_of(&layout).is_some();
        if same && state.holds(address as usize) {
            return address;
        }
        // SAFETY: as the default does.
        unsafe {
            let moved = self.alloc(grown);
            if !moved.is_null() {
                core::ptr::copy_nonoverlapping(address, moved, layout.size().min(bytes));
                self.dealloc(address, layout);
            }
            moved
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;
    use proptest::prelude::*;
    use std::{
        alloc::{alloc, dealloc},
        boxed::Box,
        cell::RefCell,
        collections::BTreeMap,
        vec::Vec,
    };

    std::thread_local! {
        /// What the host gave and has not got back.
        static GIVEN: RefCell<BTreeMap<usize, usize>> = RefCell::default();
    }

    struct Ledger;

    fn block(bytes: usize) -> Layout {
        Layout::from_size_align(bytes.max(1), HOST_ALIGN).unwrap()
    }

    impl Host for Ledger {
        fn malloc(bytes: u32) -> *mut u8 {
            let address = unsafe { alloc(block(bytes as usize)) };
            GIVEN.with_borrow_mut(|given| given.insert(address as usize, bytes as usize));
            address
        }
        fn free(address: *mut u8) {
            let bytes = GIVEN.with_borrow_mut(|given| given.remove(&(address as usize)));
            unsafe { dealloc(address, block(bytes.expect("the host's own block"))) };
        }
    }

    type Small = Heap<Ledger>;

    fn layout() -> impl Strategy<Value = Layout> {
        let beyond = (1usize << LARGEST) + 1;
        let sizes = prop_oneof![50 => 1usize..100, 50 => 1usize..5_000, 1 => beyond..beyond + 64];
        (sizes, 0u32..8)
            .prop_map(|(size, power)| Layout::from_size_align(size, 1 << power).unwrap())
    }

    #[derive(Clone, Debug)]
    enum Step {
        Take(Layout),
        Grow(usize, usize),
        Release(usize),
        /// The host hands something over that the runtime releases.
        Receive(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            3 => layout().prop_map(Step::Take),
            2 => (any::<usize>(), 1usize..6_000).prop_map(|(which, size)| Step::Grow(which, size)),
            3 => any::<usize>().prop_map(Step::Release),
            1 => (1usize..300).prop_map(Step::Receive),
        ]
    }

    proptest! {
        #[test]
        fn blocks_keep_what_is_written_into_them_and_go_back_to_whom_they_belong(
            steps in prop::collection::vec(step(), 1..200),
        ) {
            let heap: Box<Small> = Box::default();
            // Address, layout and what every byte of it is.
            let mut held: Vec<(*mut u8, Layout, u8)> = Vec::new();
            let check = |(address, layout, byte): &(*mut u8, Layout, u8)| {
                let bytes = unsafe { core::slice::from_raw_parts(*address, layout.size()) };
                bytes.iter().all(|b| b == byte)
            };
            for (number, step) in steps.into_iter().enumerate() {
                let byte = number as u8;
                let fill = |address: *mut u8, size| unsafe { address.write_bytes(byte, size) };
                match step {
                    Step::Take(layout) => {
                        let address = unsafe { heap.alloc(layout) };
                        prop_assert_eq!(address as usize % layout.align(), 0);
                        fill(address, layout.size());
                        held.push((address, layout, byte));
                    }
                    Step::Receive(size) => {
                        let address = Ledger::malloc(size as u32);
                        fill(address, size);
                        held.push((address, Layout::from_size_align(size, 1).unwrap(), byte));
                    }
                    Step::Grow(which, size) if !held.is_empty() => {
                        let at = which % held.len();
                        let (address, layout, old) = held[at];
                        let moved = unsafe { heap.realloc(address, layout, size) };
                        let kept = layout.size().min(size);
                        let bytes = unsafe { core::slice::from_raw_parts(moved, kept) };
                        prop_assert!(bytes.iter().all(|b| *b == old));
                        prop_assert_eq!(moved as usize % layout.align(), 0);
                        fill(moved, size);
                        held[at] = (moved, Layout::from_size_align(size, layout.align()).unwrap(), byte);
                    }
                    Step::Release(which) if !held.is_empty() => {
                        let (address, layout, _) = held.swap_remove(which % held.len());
                        unsafe { heap.dealloc(address, layout) };
                    }
                    Step::Grow(..) | Step::Release(_) => {}
                }
                prop_assert!(held.iter().all(check), "a block was written over");
            }
            for (address, layout, _) in held {
                unsafe { heap.dealloc(address, layout) };
            }
            // Chunks stay until the instance ends.
            let state = unsafe { &*heap.state.get() };
            prop_assert_eq!(GIVEN.with_borrow(BTreeMap::len), state.count, "the host misses a block");
            prop_assert!(state.free.iter().any(|list| !list.is_null()) || state.count == 0);
            GIVEN.with_borrow_mut(|given| {
                for (address, bytes) in core::mem::take(given) {
                    unsafe { dealloc(address as *mut u8, block(bytes)) };
                }
            });
        }
    }

    #[test]
    fn released_blocks_are_used_again_before_more_is_cut() {
        let heap: Box<Small> = Box::default();
        let layout = Layout::from_size_align(100, 16).unwrap();
        for _ in 0..1_000 {
            let address = unsafe { heap.alloc(layout) };
            unsafe { heap.dealloc(address, layout) };
        }
        let state = unsafe { &*heap.state.get() };
        assert_eq!(state.rest.from - state.chunks[0].from, 128);
        assert_eq!(GIVEN.with_borrow(BTreeMap::len), 1);
    }
}
