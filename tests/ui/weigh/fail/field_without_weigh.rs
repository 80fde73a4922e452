use larder::Weigh;

struct Foreign;

#[derive(Weigh)]
struct Page {
    title: String,
    foreign: Foreign,
    list: Vec<Foreign>,
}

fn main() {}
