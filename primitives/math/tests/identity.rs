//! Natively and in WebAssembly, the same bits.

#[path = "common/guest.rs"]
mod guest;
#[path = "common/sample.rs"]
mod sample;

use guest::Guest;
use std::collections::BTreeSet;

#[test]
fn results_are_the_same_bits_natively_and_in_webassembly_for_10_000_inputs() {
    let mut guest = Guest::build(env!("CARGO_TARGET_TMPDIR").as_ref());
    let function = guest.function::<u64, u64>("sample");
    let mut different = BTreeSet::new();
    let mut errors = 0;
    for seed in 0..10_000 {
        let mut native = Vec::new();
        sample::sample(seed, |words| native.extend(words));
        assert_eq!(native.len(), sample::RESULTS * sample::WORDS);
        let answer = guest.call(&function, seed);
        let inside = guest.words(answer as u32, (answer >> 32) as usize);
        assert_eq!(native, inside, "seed {seed}");
        errors += native
            .chunks(sample::WORDS)
            .filter(|r| r[0] == u64::MAX)
            .count();
        different.extend(native.chunks(sample::WORDS).map(|r| r.to_vec()));
    }
    // The inputs differ and most of them lead to a number: otherwise this would compare little.
    let all = 10_000 * sample::RESULTS;
    println!(
        "{all} results, {} different ones, {errors} errors",
        different.len()
    );
    assert!(different.len() > all / 2);
    assert!(errors < all / 4);
}
