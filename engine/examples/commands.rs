//! Prints the page of all commands.

fn main() {
    print!("{}", bobbin_engine::command::reference());
}
