fn main() {
    #[larder::cached]
    let double = |n: u32| n * 2;
    let _ = double(1);
}
