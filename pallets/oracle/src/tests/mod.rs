mod authorize;
mod calls;
mod changes;
mod close;
mod scores;
mod venues;
mod worker;
