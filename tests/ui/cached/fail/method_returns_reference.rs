use larder::cached;

#[derive(Clone, PartialEq, Eq, Hash)]
struct Page(String);

impl Page {
    #[cached]
    fn title(&self) -> &str {
        &self.0
    }

    #[cached]
    fn itself(&self) -> &Self {
        self
    }

    #[cached(cache_none)]
    fn maybe(&self, n: u32) -> Option<&str> {
        self.0.get(n as usize..)
    }
}

fn main() {
    let page = Page("a".to_owned());
    (page.title(), page.itself(), page.maybe(1));
}
