//! How fast national records come in.

use eads_service::limits::Limits;
use eads_tests::house::House;
use eads_tests::member::Member;
use tokio::time::Instant;

use crate::raw::append_groups;
use crate::table::{Figure, rate};
use crate::{Size, people};

pub(crate) async fn measure(size: &Size) -> Vec<Figure> {
    let house = House::new();
    let mut my = Member::create(house.path(), "MY");
    my.limits = Limits::default();
    my.start().await;
    let file = people::csv(size.records);
    let start = Instant::now();
    let report = my.import_csv("bench", &file).await.expect("an import");
    let ours = size.records as f64 / start.elapsed().as_secs_f64();
    assert_eq!(report.inserted, size.records as u64, "every record is new");
    my.stop().await;
    let record = vec![b'x'; file.len() / size.records];
    let raw = append_groups(house.path(), &record, size.records);
    vec![Figure {
        name: "record import".to_owned(),
        ours: rate(ours, "records"),
        raw: rate(raw, "records"),
        ratio: Some(ours / raw),
        target: "≥ 10 k/s".to_owned(),
        met: Some(ours >= 10_000.0),
        notes: vec![format!(
            "{} records of {} B as CSV through the operators' listener, sealed, durable and searchable. The raw limit is \
             one synced append of the same bytes for 64.",
            size.records,
            record.len(),
        )],
        plot: None,
    }]
}
