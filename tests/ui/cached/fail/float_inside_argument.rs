use larder::cached;

#[cached]
fn list(list: Vec<f64>, slice: &[f32]) -> usize {
    list.len() + slice.len()
}

#[cached]
fn point(point: Option<&[f64; 2]>) -> f64 {
    point.map_or(0.0, |[x, y]| x + y)
}

fn main() {}
