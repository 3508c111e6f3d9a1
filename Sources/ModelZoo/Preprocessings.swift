/// The usual ways of feeding pictures, as the JSON objects that `Imaging` reads.
enum Preprocessings {
  /// TensorFlow's evaluation crop (a centred square of size ÷ (size + 32) of the short side), bicubic, (v − 127) ÷ 128.
  static func tensorFlowCrop(height: Int, width: Int) -> String {
    let side = min(height, width)
    let ratio = Double(side) / Double(side + 32)
    return #"{"channels":"RGB","crop":{"ratio":\#(ratio)},"mean":[127,127,127],"#
      + #""resize":{"filter":"bicubic","height":\#(height),"mode":"exact","width":\#(width)},"scale":1,"#
      + #""std":[128,128,128]}"#
  }

  /// torchvision's evaluation transform: the short side to `resize` for a crop of `crop` (other sizes in proportion),
  /// centre crop, ImageNet's mean and deviation.
  static func torchvision(
    resize: Int = 256, crop: Int = 224, filter: String = "bilinear", mean: String = "[0.485,0.456,0.406]",
    std: String = "[0.229,0.224,0.225]"
  ) -> @Sendable (_ height: Int, _ width: Int) -> String {
    { height, width in
      let side = max(height, width)
      let short = side == crop ? resize : max(side, (side * resize + crop / 2) / crop)
      return #"{"center_crop":{"height":\#(height),"width":\#(width)},"channels":"RGB","mean":\#(mean),"#
        + #""resize":{"filter":"\#(filter)","mode":"short_side","size":\#(short)},"scale":\#(1 / 255.0),"std":\#(std)}"#
    }
  }

  /// torchvision's transform and the `transform_input` of GoogLeNet and Inception in one: from −1 to 1.
  static func inception(resize: Int, crop: Int) -> @Sendable (_ height: Int, _ width: Int) -> String {
    torchvision(resize: resize, crop: crop, mean: "[0.5,0.5,0.5]", std: "[0.5,0.5,0.5]")
  }

  /// The whole picture squashed, bilinear, each channel from 0 to 1 or as `mean` and `std` say.
  static func squashed(
    channels: String = "RGB", mean: String = "[0,0,0]", std: String = "[1,1,1]"
  ) -> @Sendable (_ height: Int, _ width: Int) -> String {
    { height, width in
      #"{"channels":"\#(channels)","mean":\#(mean),"resize":{"filter":"bilinear","height":\#(height),"mode":"exact","#
        + #""width":\#(width)},"scale":\#(1 / 255.0),"std":\#(std)}"#
    }
  }
}
