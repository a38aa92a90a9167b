//! Prints the page of all directives.

fn main() {
    print!("{}", bobbin_engine::config::reference());
}
