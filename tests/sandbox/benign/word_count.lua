-- input: {"text": "to be, or not to be: that is"}
-- output: [["be", 2], ["to", 2], ["is", 1]]
function run(input)
  local counts, list = {}, {}
  for word in input.text:lower():gmatch('%a+') do counts[word] = (counts[word] or 0) + 1 end
  for word, n in pairs(counts) do list[#list + 1] = {word, n} end
  table.sort(list, function(a, b) if a[2] ~= b[2] then return a[2] > b[2] end return a[1] < b[1] end)
  return table.move(list, 1, 3, 1, {})
end
