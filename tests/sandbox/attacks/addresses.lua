-- technique: looks for an address in every text; must: harmless
function run(input)
  local texts = {tostring({}), tostring(run), tostring(coroutine.create(run)), ("%s"):format(print), tostring(io)}
  texts[#texts + 1] = select(2, pcall(function() return {} + {} end))
  texts[#texts + 1] = select(2, pcall(function() return {} .. run end))
  for _, text in ipairs(texts) do if text:find("0x") then return input.marker end end
  return "none" 
end
