//! scratch
mod measure;
use countersign_core::json::Canonicalizer;
use countersign_core::record::Cloud;
use countersign_sources::survey;
use measure::*;
use std::hint::black_box;

fn main() {
    let path = std::env::args().nth(1).unwrap();
    let one = std::fs::read(path).unwrap();
    let mut bytes = Vec::new();
    for _ in 0..10 {
        bytes.extend_from_slice(&one);
    }
    let lines: Vec<&[u8]> = countersign_core::segment::lines(&bytes).collect();
    let mut c = Canonicalizer::exact();
    let f = one_core(
        bytes.len(),
        || sha256(&bytes),
        || {
            for l in &lines {
                black_box(c.canonicalize(black_box(l)).is_ok());
            }
        },
    );
    println!("canonicalize {:?}", f);
    let f = one_core(
        bytes.len(),
        || sha256(&bytes),
        || {
            for l in &lines {
                black_box(c.read(black_box(l)).is_ok());
            }
        },
    );
    println!("read {:?}", f);
    let body = survey(&bytes, Cloud::Aws, 1 << 30)
        .unwrap()
        .only
        .map(|p| p.body)
        .unwrap();
    let records: Vec<&[u8]> = countersign_core::segment::lines(&body).collect();
    let mut r = countersign_core::record::RecordReader::default();
    let f = one_core(
        body.len(),
        || sha256(&body),
        || {
            for l in &records {
                black_box(r.read(black_box(l)).is_ok());
            }
        },
    );
    println!("records {:?}", f);
    if std::env::args().nth(2).is_some() {
        return;
    }
    let f = one_core(
        bytes.len(),
        || sha256(&bytes),
        || {
            for l in &lines {
                black_box(countersign_core::record::leaf_hash(l));
            }
        },
    );
    println!("leaf {:?}", f);
    let f = one_core(
        bytes.len(),
        || sha256(&bytes),
        || {
            black_box(survey(&bytes, Cloud::Aws, 1 << 30).unwrap());
        },
    );
    println!("survey {:?}", f);
    for level in [-7, -5, -4, -3, -2, -1, 1, 2, 3] {
        let mut n = 0;
        let f = one_core(
            bytes.len(),
            || sha256(&bytes),
            || {
                for chunk in bytes.chunks(8 << 20) {
                    n = black_box(
                        countersign_core::segment::compress(&[chunk], level)
                            .unwrap()
                            .len(),
                    );
                }
            },
        );
        println!("zstd {level} {:?} {}", f, (8 << 20) as f64 / n as f64);
    }
    let objs: Vec<_> = bytes
        .chunks(8 << 20)
        .map(|chunk| countersign_core::segment::compress(&[chunk], 1).unwrap())
        .collect();
    let f = one_core(
        bytes.len(),
        || sha256(&bytes),
        || {
            for o in &objs {
                black_box(
                    countersign_core::segment::decompress(o, 64 << 20)
                        .unwrap()
                        .len(),
                );
            }
        },
    );
    println!("unzstd {:?}", f);
    let f = one_core(
        bytes.len(),
        || sha256(&bytes),
        || {
            for l in &lines {
                let v: serde_json::Value = serde_json::from_slice(l).unwrap();
                black_box(serde_json_canonicalizer::to_vec(&v).unwrap());
            }
        },
    );
    println!("serde_jcs {:?}", f);
}
