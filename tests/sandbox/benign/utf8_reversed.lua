-- input: {"text": "añ日𝄞"}
-- output: {"reversed": "𝄞日ña", "length": 4, "points": [97, 241, 26085, 119070]}
function run(input)
  local points = {utf8.codepoint(input.text, 1, -1)}
  local out = {}
  for i = #points, 1, -1 do out[#out + 1] = utf8.char(points[i]) end
  return {reversed = table.concat(out), length = utf8.len(input.text), points = points}
end
