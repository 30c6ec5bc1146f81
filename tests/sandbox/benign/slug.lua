-- input: {"title": "  Hello, World -- again! "}
-- output: "hello-world-again"
function run(input)
  return (input.title:lower():gsub('[^%w]+', '-'):gsub('^%-+', ''):gsub('%-+$', ''))
end
