use larder::cached;

struct Map;

impl Map {
    #[cached(skip(self), skip(n))]
    fn twice(&self, n: u32) -> u32 {
        n
    }

    #[cached(key(n m))]
    fn without_comma(&self, n: u32, m: u32) -> u32 {
        n + m
    }

    #[cached(key(n: &str,))]
    fn of_other_type(&self, n: u32) -> u32 {
        n
    }

    #[cached(skip(self) max_mb = 2)]
    fn without_comma_after(&self, n: u32) -> u32 {
        n
    }
}

fn main() {
    Map.twice(Map.without_comma(1, Map.of_other_type(Map.without_comma_after(1))));
}
