mod authorize;
mod calls;
mod close;
mod venues;
mod worker;
