#include "shapes.h"

namespace hb {
namespace {

// Shapes were checked: dimensions are positive, and products fit.
class Shape {
  public:
    Shape(const tflite::SubGraph &graph, const flatbuffers::Vector<int32_t> *tensors, uint32_t at) {
        if (tensors != nullptr && at < tensors->size() && tensors->Get(at) >= 0) {
            exists_ = true;
            shape_ = graph.tensors()->Get(static_cast<uint32_t>(tensors->Get(at)))->shape();
        }
    }
    bool exists() const { return exists_; }
    uint32_t rank() const { return shape_ == nullptr ? 0u : shape_->size(); }
    int64_t operator[](uint32_t dimension) const { return shape_->Get(dimension); }
    int64_t elements() const {
        int64_t product = 1;
        for (uint32_t i = 0; i < rank(); i++) {
            product *= shape_->Get(i);
        }
        return product;
    }

  private:
    bool exists_ = false;
    const flatbuffers::Vector<int32_t> *shape_ = nullptr;
};

// Along one side of an image.
struct Side {
    int64_t in;
    int64_t window;
    int64_t stride;
    int64_t dilation;
    int64_t out;
};

bool side_agrees(const Side &side, tflite::Padding padding) {
    if (side.stride < 1 || side.window < 1 || side.dilation < 1) {
        return false;
    }
    const int64_t reach = (side.window - 1) * side.dilation + 1;
    if (padding == tflite::Padding_SAME) {
        return side.out == (side.in + side.stride - 1) / side.stride;
    }
    return side.in >= reach && side.out == (side.in - reach) / side.stride + 1;
}

struct Image {
    Shape in;
    Shape out;
    int64_t window_h;
    int64_t window_w;
};

template <typename Options>
bool image_agrees(const Image &image, const Options *options, int64_t dilation_h,
                  int64_t dilation_w) {
    const auto &[in, out, window_h, window_w] = image;
    return options != nullptr && in.rank() == 4u && out.rank() == 4u && in[0] == out[0] &&
           side_agrees({in[1], window_h, options->stride_h(), dilation_h, out[1]},
                       options->padding()) &&
           side_agrees({in[2], window_w, options->stride_w(), dilation_w, out[2]},
                       options->padding());
}

template <typename Options>
bool convolution_agrees(const Shape &in, const Shape &weights, const Shape &bias, const Shape &out,
                        const Options *options, bool depthwise) {
    if (options == nullptr || weights.rank() != 4u || out.rank() != 4u || in.rank() != 4u) {
        return false;
    }
    const int64_t channels = weights[depthwise ? 3u : 0u];
    const bool depths = depthwise ? weights[0] == 1 && channels % in[3] == 0
                                  : in[3] % weights[3] == 0 && channels % (in[3] / weights[3]) == 0;
    return depths && out[3] == channels && (!bias.exists() || bias.elements() == channels) &&
           image_agrees({in, out, weights[1], weights[2]}, options, options->dilation_h_factor(),
                        options->dilation_w_factor());
}

bool fully_connected_agrees(const Shape &in, const Shape &weights, const Shape &bias,
                            const Shape &out) {
    return weights.rank() == 2u && in.elements() % weights[1] == 0 &&
           out.elements() == in.elements() / weights[1] * weights[0] && out.rank() != 0u &&
           out[out.rank() - 1u] == weights[0] && (!bias.exists() || bias.elements() == weights[0]);
}

bool mean_agrees(const Shape &in, const Shape &out, const flatbuffers::Vector<uint8_t> &axes) {
    constexpr uint32_t kMaxRank = 31u;
    const auto rank = static_cast<int32_t>(in.rank());
    uint32_t reduced = 0u;
    int64_t kept = in.elements();
    for (uint32_t at = 0; at + sizeof(int32_t) <= axes.size(); at += sizeof(int32_t)) {
        const auto axis = flatbuffers::ReadScalar<int32_t>(axes.data() + at);
        if (in.rank() > kMaxRank || axis < -rank || axis >= rank) {
            return false;
        }
        const auto dimension = static_cast<uint32_t>(axis < 0 ? axis + rank : axis);
        if ((reduced >> dimension & 1u) == 0u) {
            kept /= in[dimension];
        }
        reduced |= 1u << dimension;
    }
    return out.elements() == kept;
}

} // namespace

bool shapes_agree(const tflite::SubGraph &graph, const tflite::Operator &op,
                  tflite::BuiltinOperator code, const flatbuffers::Vector<uint8_t> *axes) {
    const Shape in(graph, op.inputs(), 0u);
    const Shape second(graph, op.inputs(), 1u);
    const Shape third(graph, op.inputs(), 2u);
    const Shape out(graph, op.outputs(), 0u);
    const auto *pool = op.builtin_options_as_Pool2DOptions();
    switch (code) {
    case tflite::BuiltinOperator_CONV_2D:
        return convolution_agrees(in, second, third, out, op.builtin_options_as_Conv2DOptions(),
                                  false);
    case tflite::BuiltinOperator_DEPTHWISE_CONV_2D:
        return convolution_agrees(in, second, third, out,
                                  op.builtin_options_as_DepthwiseConv2DOptions(), true);
    case tflite::BuiltinOperator_FULLY_CONNECTED:
        return fully_connected_agrees(in, second, third, out);
    case tflite::BuiltinOperator_AVERAGE_POOL_2D:
    case tflite::BuiltinOperator_MAX_POOL_2D:
        return pool != nullptr && in.rank() == 4u && out.rank() == 4u && in[3] == out[3] &&
               image_agrees({in, out, pool->filter_height(), pool->filter_width()}, pool, 1, 1);
    case tflite::BuiltinOperator_MEAN:
        return axes != nullptr && axes->size() == second.elements() * sizeof(int32_t) &&
               mean_agrees(in, out, *axes);
    case tflite::BuiltinOperator_RESHAPE:
    case tflite::BuiltinOperator_SOFTMAX:
        return in.elements() == out.elements();
    default: // ADD compares its shapes itself
        return true;
    }
}

} // namespace hb
