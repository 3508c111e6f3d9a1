import Imaging
import Service
import Testing

@Suite(.timeLimit(.minutes(15)))
struct MemoryPlanTests {
  private static let model = MemoryPlan.Model(
    name: "m", weightBytes: 20 << 20, slots: 20, floatsPerSlot: 150_528, workspaceBytes: 26 << 20,
    jointWorkspaceBytes: 8 << 20)

  private static func plan(limit: Int) throws(ServiceError) -> MemoryPlan {
    try MemoryPlan(models: [model], workers: 2, limit: limit)
  }

  @Test func withoutALimitEveryWorkerDecodesWhateverTheLimitsOfPicturesAllow() throws {
    let plan = try Self.plan(limit: 0)
    let standard = ImageLimits.standard
    let perDecode = standard.maxPixels * 4 + standard.maxCoefficientBytes
    #expect(plan.decodes == 2 && plan.limits == standard && plan.concession() == nil)
    #expect(plan.fixedBytes == (20 << 20) + 20 * 150_528 * 4 + 2 * (26 << 20) + (8 << 20))
    #expect(plan.totalBytes == plan.fixedBytes + 2 * standard.maxFileBytes + 2 * perDecode)
    #expect(plan.line.contains("100 megapixels"))
  }

  @Test func aLimitTakesFirstFromTheDecodesThenFromThePictures() throws {
    let whole = try Self.plan(limit: 0).totalBytes
    #expect(try Self.plan(limit: whole) == Self.plan(limit: 0))
    let fewer = try Self.plan(limit: whole - 1)
    #expect(fewer.decodes == 1 && fewer.limits == .standard && fewer.totalBytes < whole)
    #expect(fewer.concession()?.contains("1 of 2 workers") == true)
    let smaller = try Self.plan(limit: fewer.totalBytes - 1)
    #expect(smaller.decodes == 1 && smaller.limits.maxPixels < ImageLimits.standard.maxPixels)
    #expect(smaller.totalBytes <= fewer.totalBytes - 1)
    #expect(smaller.concession()?.contains("are refused") == true)
  }

  @Test func everyLimitIsKeptOrRefusedWithTheLeastThatWillDo() {
    var least: Int?
    for limit in stride(from: 50 << 20, through: 3_000 << 20, by: 7 << 20) {
      do throws(ServiceError) {
        let plan = try Self.plan(limit: limit)
        #expect(plan.totalBytes <= limit)
        #expect(plan.limits.maxPixels >= MemoryPlan.leastPixels && plan.decodes >= 1)
        least = least ?? limit
      } catch {
        #expect(least == nil, "a larger limit is refused: \(limit)")
        #expect("\(error)".contains("is the least that will do"))
        #expect(error.isConfigurationFault)
      }
    }
    #expect(least != nil)
  }
}
