use larder::Weigh;

#[derive(Weigh)]
#[weigh(skip)]
enum Shape {
    #[weigh(skip)]
    Circle(u8),
}

fn main() {}
