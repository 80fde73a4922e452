#[automatically_derived]
impl<T> ::larder::Weigh for Shape<T>
where
    T: ::larder::Weigh,
{
    fn heap_bytes(&self) -> ::core::primitive::u64 {
        match self {
            Self::Empty { .. } => 0,
            Self::Circle { 0: field0, .. } => <T as ::larder::Weigh>::heap_bytes(field0),
            Self::Polygon { corners: field0, fill: field1, .. } => {
                <Vec<T> as ::larder::Weigh>::heap_bytes(field0) + image_bytes(field1)
            }
        }
    }
}
