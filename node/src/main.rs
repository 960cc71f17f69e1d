//! The validator's binary.

fn main() -> sc_cli::Result<()> {
    novate_node::command::run()
}
