def test_mk(deep):
    import shutil, os
    os.makedirs("/tmp/fix/deep", exist_ok=True)
    for p in deep.values(): shutil.copy(p, "/tmp/fix/deep/")
