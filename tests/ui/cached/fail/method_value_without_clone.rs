use larder::cached;

struct Page;

impl Page {
    #[cached]
    fn made(n: u32) -> Self {
        let _ = n;
        Self
    }
}

fn main() {
    Page::made(1);
}
