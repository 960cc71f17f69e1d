//! Leaves room for the close.
//!
//! The stock proposer stops taking transactions shortly before its time is up and then finalises the block; one that is
//! ready later than the slot's portion is thrown away. Our blocks match, clear and liquidate after the last transaction, so
//! transactions have to stop earlier, by what the close and the storage root may take.

use sp_consensus::{Environment, ProposeArgs, Proposer};
use sp_runtime::traits::Block as BlockT;
use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

/// Makes proposers that keep `reserve` of their time for what comes after the last transaction.
pub struct ReservingFactory<F> {
    inner: F,
    reserve: Duration,
}

impl<F> ReservingFactory<F> {
    /// Wraps a factory.
    pub fn new(inner: F, reserve: Duration) -> Self {
        Self { inner, reserve }
    }
}

/// A proposer that keeps `reserve` of its time for the close.
pub struct ReservingProposer<P> {
    inner: P,
    reserve: Duration,
}

/// The wrapped factory's future, its proposer wrapped in turn.
pub struct Creating<C> {
    inner: C,
    reserve: Duration,
}

impl<C, P, E> Future for Creating<C>
where
    C: Future<Output = Result<P, E>> + Unpin,
{
    type Output = Result<ReservingProposer<P>, E>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let reserve = self.reserve;
        Pin::new(&mut self.inner)
            .poll(cx)
            .map(|made| made.map(|inner| ReservingProposer { inner, reserve }))
    }
}

impl<B: BlockT, F: Environment<B>> Environment<B> for ReservingFactory<F> {
    type Proposer = ReservingProposer<F::Proposer>;
    type CreateProposer = Creating<F::CreateProposer>;
    type Error = F::Error;

    fn init(&mut self, parent: &B::Header) -> Self::CreateProposer {
        Creating {
            inner: self.inner.init(parent),
            reserve: self.reserve,
        }
    }
}

impl<B: BlockT, P: Proposer<B>> Proposer<B> for ReservingProposer<P> {
    type Error = P::Error;
    type Proposal = P::Proposal;

    fn propose(self, mut args: ProposeArgs<B>) -> Self::Proposal {
        args.max_duration = shortened(args.max_duration, self.reserve);
        self.inner.propose(args)
    }
}

/// What is left for transactions. A slot that began late keeps a fifth of its time for them, so that a node that is
/// always late still includes something; its close then may be late as well.
fn shortened(whole: Duration, reserve: Duration) -> Duration {
    whole.saturating_sub(reserve).max(whole / 5)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_close_keeps_its_reserve_and_transactions_a_fifth() {
        let ms = Duration::from_millis;
        assert_eq!(shortened(ms(660), ms(300)), ms(360));
        assert_eq!(shortened(ms(300), ms(300)), ms(60));
        assert_eq!(shortened(ms(0), ms(300)), ms(0));
    }
}
