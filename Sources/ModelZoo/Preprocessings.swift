/// The usual ways of feeding pictures, as the JSON objects that `Imaging` reads.
enum Preprocessings {
  /// TensorFlow's evaluation crop (a centred square of size ÷ (size + 32) of the short side), bicubic, (v − 127) ÷ 128.
  static func tensorFlowCrop(size: Int) -> String {
    let ratio = Double(size) / Double(size + 32)
    return #"{"channels":"RGB","crop":{"ratio":\#(ratio)},"mean":[127,127,127],"#
      + #""resize":{"filter":"bicubic","height":\#(size),"mode":"exact","width":\#(size)},"scale":1,"std":[128,128,128]}"#
  }

  /// torchvision's evaluation transform: short side 256, bilinear, centre 224, ImageNet's mean and deviation.
  static let torchvision =
    #"{"center_crop":{"height":224,"width":224},"channels":"RGB","mean":[0.485,0.456,0.406],"#
    + #""resize":{"filter":"bilinear","mode":"short_side","size":256},"scale":\#(1 / 255.0),"std":[0.229,0.224,0.225]}"#

  /// The whole picture squashed to a square, bilinear, each channel from 0 to 1.
  static func squashed(size: Int) -> String {
    #"{"channels":"RGB","mean":[0,0,0],"resize":{"filter":"bilinear","height":\#(size),"mode":"exact","#
      + #""width":\#(size)},"scale":\#(1 / 255.0),"std":[1,1,1]}"#
  }
}
