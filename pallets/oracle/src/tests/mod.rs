mod authorize;
mod calls;
mod changes;
mod close;
mod venues;
mod worker;
