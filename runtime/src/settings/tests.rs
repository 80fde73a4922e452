use super::*;

fn read(variables: &[(&str, &str)]) -> (Settings, Vec<SettingError>) {
    Settings::read(|name| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into()))
}

/// The setting that one variable makes, without an error.
fn accepted(variable: &str, value: &str) -> Settings {
    let (settings, errors) = read(&[(variable, value)]);
    assert!(errors.is_empty(), "{errors:?}");
    settings
}

/// One variable is refused, ignored, and its error says all there is to know.
fn refused(variable: &str, value: &str) {
    let (settings, errors) = read(&[(variable, value)]);
    assert_eq!(settings, Settings::default(), "{variable}={value}");
    let [error] = &errors[..] else { panic!("{variable}={value}: {errors:?}") };
    assert_eq!((error.variable(), error.found()), (variable, value));
    let text = error.to_string();
    assert!(text.starts_with(variable), "{text}");
    assert!(text.contains(error.accepts()) && text.contains(&format!("for example {variable}=")), "{text}");
}

#[test]
fn nothing_set_is_nothing_said() {
    let (settings, errors) = read(&[]);
    assert_eq!(settings, Settings::default());
    assert!(errors.is_empty());
    assert!(SettingsError::from_errors(errors).is_ok());
    for variable in [BUDGET, AUTO, PRESSURE, THREADS, HIGH, EMERGENCY, INTERVAL] {
        assert_eq!(accepted(variable.name, "  "), Settings::default());
        // What an error gives as an example works.
        assert_ne!(accepted(variable.name, variable.example), Settings::default());
    }
}

#[test]
fn budgets() {
    let budget = |text| accepted("LARDER_BUDGET_MB", text).budget;
    assert_eq!(budget("256"), Some(256 << 20));
    assert_eq!(budget(" 1 "), Some(1 << 20));
    assert_eq!(budget("0.5"), Some(1 << 19));
    assert_eq!(budget("0.0000000001"), Some(1));
    for text in
        ["0", "-1", "+1", "256MB", "1e3", "inf", "NaN", ".", "1.2.3", "99999999999999", "1,000", "many"]
    {
        refused("LARDER_BUDGET_MB", text);
    }
}

#[test]
fn a_budget_that_follows_memory() {
    assert!(accepted("LARDER_BUDGET", "auto").auto && accepted("LARDER_BUDGET", " AUTO ").auto);
    for text in ["256", "automatic", "on", "0"] {
        refused("LARDER_BUDGET", text);
    }
    let (both, errors) = read(&[("LARDER_BUDGET", "auto"), ("LARDER_BUDGET_MB", "64")]);
    assert_eq!((both.auto, both.budget, errors.len()), (true, Some(64 << 20), 0));
}

#[test]
fn switches_and_threads() {
    assert_eq!(accepted("LARDER_PRESSURE", "off").pressure, Some(false));
    assert_eq!(accepted("LARDER_PRESSURE", "ON").pressure, Some(true));
    for text in ["0", "true", "offf"] {
        refused("LARDER_PRESSURE", text);
    }
    assert_eq!(accepted("LARDER_THREADS", "0").threads, Some(0));
    assert_eq!(accepted("LARDER_THREADS", "1024").threads, Some(1024));
    for text in ["-1", "+1", "1.5", "1025", "all", "99999999999999999999999"] {
        refused("LARDER_THREADS", text);
    }
}

#[test]
fn intervals() {
    let interval = |text| accepted("LARDER_INTERVAL", text).interval;
    assert_eq!(interval("30s"), Some(Duration::from_secs(30)));
    assert_eq!(interval("500ms"), Some(Duration::from_millis(500)));
    assert_eq!(interval("1.5 s"), Some(Duration::from_millis(1500)));
    assert_eq!(interval("2m"), Some(Duration::from_secs(120)));
    assert_eq!(interval("24h"), Some(Duration::from_secs(24 * 3600)));
    for text in
        ["30", "0s", "1ms", "25h", "-5s", "5 sec", "s", "5µs", "5d", "1e30h", "99999999999999999999999h"]
    {
        refused("LARDER_INTERVAL", text);
    }
}

#[test]
fn watermarks_are_checked_together() {
    let marks = accepted("LARDER_PRESSURE_HIGH", "60%").watermarks.expect("set");
    assert_eq!((marks.high(), marks.emergency()), (0.6, 0.95));
    let marks = accepted("LARDER_PRESSURE_EMERGENCY", "0.9").watermarks.expect("set");
    assert_eq!((marks.high(), marks.emergency()), (0.8, 0.9));
    for text in ["0", "80", "101%", "-5%", "high", "%", "0.97", "95%"] {
        refused("LARDER_PRESSURE_HIGH", text);
    }
    for text in ["0.8", "1.5", "70%"] {
        refused("LARDER_PRESSURE_EMERGENCY", text);
    }

    let both = [("LARDER_PRESSURE_HIGH", "0.97"), ("LARDER_PRESSURE_EMERGENCY", "0.99")];
    assert_eq!(read(&both).0.watermarks.map(|marks| marks.high()), Some(0.97));
    let (settings, errors) = read(&[("LARDER_PRESSURE_HIGH", "90%"), ("LARDER_PRESSURE_EMERGENCY", "0.7")]);
    assert_eq!(settings, Settings::default());
    // Both, as they were written.
    let found: Vec<_> = errors.iter().map(SettingError::found).collect();
    assert_eq!(found, ["90%", "0.7"]);
}

#[test]
fn one_bad_variable_does_not_spoil_the_others() {
    let (settings, errors) =
        read(&[("LARDER_BUDGET_MB", "lots"), ("LARDER_THREADS", "2"), ("LARDER_INTERVAL", "often")]);
    assert_eq!(settings, Settings { threads: Some(2), ..Settings::default() });
    let error = SettingsError::from_errors(errors).expect_err("two are bad");
    assert_eq!(error.errors().len(), 2);
    assert_eq!(
        error.to_string(),
        "LARDER_BUDGET_MB is \"lots\", but takes a number of megabytes above 0 (1 MB = 1,048,576 bytes), for example \
         LARDER_BUDGET_MB=256; LARDER_INTERVAL is \"often\", but takes a duration from 10ms to 24h, in ms, s, m or h, \
         for example LARDER_INTERVAL=30s"
    );
}

#[cfg(unix)]
#[test]
fn what_is_not_unicode_is_refused() {
    use std::os::unix::ffi::OsStringExt;
    let (settings, errors) = Settings::read(|_| Some(OsString::from_vec(vec![b'1', 0xff, b'\n'])));
    assert_eq!(settings, Settings::default());
    assert_eq!(errors.len(), 7);
    assert!(
        errors.iter().all(|error| error.found().contains('\u{fffd}') && !error.to_string().contains('\n'))
    );
}
