-- The conditions follow kstatus, as those of a SecurityBaseline do. An exception that is over, or that names nothing, does
-- no harm and is told.
local hs = {
  status = "Progressing",
  message = "Waiting for the operator to look at this generation"
}
if obj.status == nil or obj.status.conditions == nil or obj.status.observedGeneration ~= obj.metadata.generation then
  return hs
end

local found = {}
for _, condition in ipairs(obj.status.conditions) do
  found[condition.type] = condition
end
local function holds(kind)
  return found[kind] ~= nil and found[kind].status == "True"
end

if holds("Stalled") then
  hs.status = "Degraded"
  hs.message = found["Stalled"].message
elseif holds("Ready") then
  hs.status = "Healthy"
  hs.message = found["Ready"].reason .. ": " .. found["Ready"].message
elseif found["Ready"] ~= nil then
  hs.message = found["Ready"].message
end
return hs
