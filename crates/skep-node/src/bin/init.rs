//! The pods' init as a program of its own, for whoever embeds a node without being one.

fn main() {
    skep_node::init_main()
}
