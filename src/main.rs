fn main() {
    for crd in security_baseline_operator::api::crds::all().unwrap() {
        std::fs::write(
            format!("crds/{}", crd.file),
            serde_saphyr::to_string(&crd.content).unwrap(),
        )
        .unwrap();
    }
}
