use super::*;

const EXTREMES: [f64; 12] = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    1e-300,
    5e-324,
    1e15,
    -1e15,
    1e280,
    f64::MAX,
    f64::NAN,
    f64::INFINITY,
];

#[test]
fn nothing_that_a_report_may_hold_makes_a_plot_panic() {
    for one in EXTREMES {
        for other in EXTREMES {
            let points = vec![(one, other), (other, one), (one, one)];
            let line = Line {
                points,
                ink: Ink::Filled,
            };
            let _ = lines(String::new(), &[line], brief, "s").unwrap();
            let values = [
                ("a".to_owned(), Some(one)),
                ("b".to_owned(), None),
                ("c".to_owned(), Some(other)),
            ];
            let _ = dates(String::new(), &values, Some(other), brief).unwrap();
            let values = [("a".to_owned(), one), ("b".to_owned(), other)];
            let _ = bars(String::new(), &values, true, brief).unwrap();
        }
    }
    assert!(lines(String::new(), &[], brief, "s").unwrap().is_none());
    assert!(dates(String::new(), &[], None, brief).unwrap().is_none());
    assert!(bars(String::new(), &[], false, brief).unwrap().is_none());
}

#[test]
fn scales_have_round_ticks_within_them() {
    let scale = Scale::over([0.2, 97.0].into_iter(), true, (100, 0)).unwrap();
    assert_eq!(scale.ticks(5), [0.0, 20.0, 40.0, 60.0, 80.0]);
    assert_eq!((scale.at(0.0), scale.at(97.0), scale.at(1e9)), (100, 0, 0));
    for one in EXTREMES {
        for other in EXTREMES {
            let Some(scale) = Scale::over([one, other].into_iter(), false, (0, 100)) else {
                continue;
            };
            assert!(
                scale.ticks(4).len() <= 5,
                "{one} {other}: {:?}",
                scale.ticks(4)
            );
            for value in [one, other].into_iter().filter(|value| value.is_finite()) {
                assert!((0..=100).contains(&scale.at(value)), "{one} {other}");
            }
        }
    }
}

#[test]
fn names_are_escaped_and_cut() {
    let name = format!("<script>&\"{}", "x".repeat(100));
    let values = [(name, 1.0)];
    let plot = bars(String::new(), &values, false, brief).unwrap().unwrap();
    assert!(plot.body.contains("&lt;script&gt;&amp;&quot;xxx"));
    assert!(!plot.body.contains("<script"));
    assert!(!plot.body.contains(&"x".repeat(MOST_OF_A_NAME)));
}

#[test]
fn a_larger_number_has_a_higher_bar() {
    let values = [
        ("a".to_owned(), 1.0),
        ("b".to_owned(), 4.0),
        ("c".to_owned(), 0.0),
    ];
    let plot = bars(String::new(), &values, true, brief).unwrap().unwrap();
    let heights: Vec<i32> = plot
        .body
        .split("height=\"")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap().parse().unwrap())
        .collect();
    assert_eq!(heights, [34, 136, 0]);
}
