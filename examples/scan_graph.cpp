// Lesion mask of a raw scan with onnxruntime's C++ API and a file of `strokereg export --format scan`.
// This sketch was not compiled. A test feeds arrays in the same order from Python.
#include <onnxruntime_cxx_api.h>

#include <array>
#include <cstdint>
#include <utility>
#include <vector>

// voxels: as they lie in a NIfTI file (x fastest), as float, scl_slope and scl_inter applied.
// affine: voxel to mm, row by row. The mask comes back in the order of the voxels.
std::vector<std::uint8_t> lesions(Ort::Session& session, std::vector<float>& voxels, std::array<double, 16> affine,
                                  std::int64_t nx, std::int64_t ny, std::int64_t nz) {
  for (int row = 0; row < 4; ++row) std::swap(affine[4 * row], affine[4 * row + 2]);  // ONNX names x the last axis
  const std::array<std::int64_t, 4> grid{1, nz, ny, nx};
  const std::array<std::int64_t, 2> square{4, 4};
  auto memory = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);
  std::array<Ort::Value, 2> inputs{
      Ort::Value::CreateTensor<float>(memory, voxels.data(), voxels.size(), grid.data(), grid.size()),
      Ort::Value::CreateTensor<double>(memory, affine.data(), affine.size(), square.data(), square.size())};
  const char* names[] = {"scan", "affine"};
  const char* wanted[] = {"mask"};
  auto found = session.Run(Ort::RunOptions{nullptr}, names, inputs.data(), inputs.size(), wanted, 1);
  const std::uint8_t* mask = found[0].GetTensorData<std::uint8_t>();
  return {mask, mask + voxels.size()};
}

int main() {
  Ort::Env env(ORT_LOGGING_LEVEL_WARNING, "strokereg");
  Ort::Session session(env, "unet.scan.onnx", Ort::SessionOptions{});  // a wide string on Windows
  // … read the scan, call `lesions`, write the mask with the scan's own header.
}
